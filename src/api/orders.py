"""Orders as Temporal keeps them: placed, looked up, listed, cancelled."""

import asyncio
import base64
import binascii
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta

import uuid_utils.compat
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api import history
from api.problems import Problem, unreachable
from api.requests import PlaceOrder
from api.responses import OrderHistory, OrderPage, OrderSummary, OrderView
from contracts.money import readable
from contracts.orders import (
    ENDS,
    PROGRESS_QUERY,
    WORKFLOW_TYPE,
    OrderInput,
    OrderProgress,
    Reason,
    Status,
    StepState,
    workflow_id,
)
from contracts.registry import task_queue
from contracts.search import CUSTOMER_ID, ORDER_STATUS

# Name-based (RFC 9562, version 5) within a namespace of our own: one key, one order, on every API process.
_KEYED_ORDERS = uuid.UUID("6f0d4a52-3a1e-5d0f-9a77-0c1b8f3c2e11")
_ANSWER_SECONDS = 4.0
"""Within this an unreachable Temporal is reported."""
_MARK_BYTES = 8
_QUERY_SECONDS = 1.0
"""How long an order worker may take to answer before the last known state is given."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    order_id: str
    replayed: bool
    """Whether an earlier request with the same key had placed it."""


class Orders:
    def __init__(self, client: Client, step_timeout_seconds: int) -> None:
        self._client = client
        self._step_timeout_seconds = step_timeout_seconds

    async def place(self, sent: PlaceOrder, idempotency_key: str | None) -> Placed:
        """Start an order, or find the one that the key has started.

        Raises Problem 422 when the key was used for another body, 503 when Temporal can't be reached.
        """
        # A version 7 id sorts by time. One made from a key can't know the time of the key's first use.
        fresh = idempotency_key is None
        order_id = str(uuid_utils.compat.uuid7() if fresh else uuid.uuid5(_KEYED_ORDERS, idempotency_key or ""))
        order = sent.order(order_id)
        async with _answer_in_time():
            try:
                await self._client.start_workflow(
                    WORKFLOW_TYPE,
                    OrderInput(order=order, step_timeout_seconds=self._step_timeout_seconds),
                    id=workflow_id(order_id),
                    task_queue=task_queue("order"),
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={
                        "request_digest": sent.digest(),
                        "currency": order.currency,
                        "amount_minor": order.amount_minor,
                    },
                    search_attributes=TypedSearchAttributes(
                        [
                            SearchAttributePair(ORDER_STATUS, Status.RECEIVED),
                            SearchAttributePair(CUSTOMER_ID, order.customer_id),
                        ]
                    ),
                    static_summary=f"{order.pieces} pieces, {readable(order.amount_minor, order.currency)}",
                )
            except WorkflowAlreadyStartedError:
                description = await self._handle(order_id).describe()
                if await description.memo_value("request_digest", None) != sent.digest():
                    raise Problem(
                        422, "idempotency-key-reused", "This Idempotency-Key was used for another order."
                    ) from None
                return Placed(order_id, replayed=True)
        _log.info("order received", extra={"event.action": "order-received", "order.id": order_id})
        return Placed(order_id, replayed=False)

    async def ended(self, order_id: str, within_seconds: float) -> bool:
        """Wait for the order's end; whether it came."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._handle(order_id).result()
        except WorkflowFailureError:
            return True
        except (TimeoutError, RPCError):
            return False
        return True

    async def get(self, order_id: str) -> OrderView:
        """The order as it is, or its last known state when no order worker answers. Raises Problem 404, 503."""
        handle = self._handle(order_id)
        async with _answer_in_time():
            description = await self._describe(handle)
            if description.status is WorkflowExecutionStatus.RUNNING:
                try:
                    progress = await handle.query(
                        PROGRESS_QUERY,
                        result_type=OrderProgress,
                        rpc_timeout=timedelta(seconds=_QUERY_SECONDS),
                    )
                except (RPCError, WorkflowQueryFailedError):
                    return await self._last_known(handle, description)
                return _view(progress, as_of="now")
            if description.status is WorkflowExecutionStatus.COMPLETED:
                return _view(await handle.result(), as_of="now")
            return await self._cut_short(handle, description)

    async def page(self, status: str | None, customer_id: str | None, limit: int, cursor: str | None) -> OrderPage:
        """Orders, running ones first, then the newest. Raises Problem 422 for a cursor that is not one of ours."""
        conditions = [f"WorkflowType = '{WORKFLOW_TYPE}'"]
        if status:
            conditions.append(f"{ORDER_STATUS.name} = '{status}'")
        if customer_id:
            conditions.append(f"{CUSTOMER_ID.name} = '{customer_id}'")
        found = self._client.list_workflows(
            " AND ".join(conditions), page_size=limit, next_page_token=_page_token(cursor)
        )
        async with _answer_in_time():
            try:
                await found.fetch_next_page()
            except RPCError as error:
                if error.status is RPCStatusCode.INVALID_ARGUMENT and cursor:
                    raise _bad_cursor() from None
                raise
            orders = [await _summary(execution) for execution in found.current_page or []]
        token = found.next_page_token
        return OrderPage(orders=orders, next_cursor=_cursor(token) if token else None)

    async def cancel(self, order_id: str) -> OrderView:
        """Ask for the order to be undone. Raises Problem 409 when it is too late, 404, 503."""
        view = await self.get(order_id)
        refuse_if_too_late(view)
        async with _answer_in_time():
            try:
                await self._handle(order_id).cancel()
            except RPCError as error:
                # It ended since we looked, or was cancelled already: what it is now says which.
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                view = await self.get(order_id)
                refuse_if_too_late(view)
        _log.info("cancellation asked for", extra={"event.action": "order-cancel", "order.id": order_id})
        return view

    async def history(self, order_id: str) -> OrderHistory:
        """The order's steps with their times and attempts. Raises Problem 404, 503."""
        handle = self._handle(order_id)
        async with _answer_in_time():
            description = await self._describe(handle)
            events = [event async for event in handle.fetch_history_events()]
        return OrderHistory(
            order_id=order_id,
            workflow_id=workflow_id(order_id),
            steps=history.steps(events, description.raw_description.pending_activities),
        )

    async def reachable(self) -> None:
        """Raises Problem 503 unless Temporal answers."""
        async with _answer_in_time():
            await self._client.service_client.check_health()

    def _handle(self, order_id: str) -> WorkflowHandle[object, OrderProgress]:
        return self._client.get_workflow_handle(workflow_id(order_id), result_type=OrderProgress)

    async def _describe(self, handle: WorkflowHandle[object, OrderProgress]) -> WorkflowExecutionDescription:
        try:
            description = await handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise Problem(404, "order-not-found", "There is no order with this id.") from None
            raise
        if description.workflow_type != WORKFLOW_TYPE:
            raise Problem(404, "order-not-found", "There is no order with this id.")
        return description

    async def _last_known(
        self, handle: WorkflowHandle[object, OrderProgress], description: WorkflowExecutionDescription
    ) -> OrderView:
        events = [event async for event in handle.fetch_history_events()]
        steps = history.progress(history.steps(events, description.raw_description.pending_activities))
        summary = await _summary(description)
        return OrderView(
            **summary.model_dump(exclude={"ended_at", "currency", "amount_minor"}),
            currency=summary.currency or "",
            amount_minor=summary.amount_minor or 0,
            updated_at=events[-1].event_time.ToDatetime(UTC) if events else summary.received_at,
            steps=steps,
            cancellable=not any(step.step == "shipping" and step.state is StepState.DONE for step in steps),
            as_of="last_known",
        )

    async def _cut_short(
        self, handle: WorkflowHandle[object, OrderProgress], description: WorkflowExecutionDescription
    ) -> OrderView:
        """An order that an operator ended past its workflow (terminated): what stands of it has to be looked at."""
        view = await self._last_known(handle, description)
        how = description.status.name.lower() if description.status else "closed"
        reason = Reason(code=f"workflow_{how}", message=f"The order's workflow was {how} before it reached an end.")
        return view.model_copy(
            update={
                "status": Status.NEEDS_ATTENTION,
                "ended_at": description.close_time,
                "reason": reason,
                "cancellable": False,
            }
        )


def refuse_if_too_late(view: OrderView) -> None:
    """Raises Problem 409 when the order can't be cancelled any more."""
    if view.cancellation is not None and view.cancellation.code in ("accepted", "cancelled"):
        return
    if view.status in ENDS:
        detail = f"The order has ended already: {view.status}."
    elif not view.cancellable:
        detail = "The parcel has left, so the order can't be cancelled any more."
    else:
        return
    raise Problem(409, "too-late-to-cancel", detail, order_status=view.status)


@asynccontextmanager
async def _answer_in_time() -> AsyncIterator[None]:
    """Turns an unreachable Temporal into Problem 503, soon."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            yield
    except TimeoutError:
        raise unreachable() from None
    except RPCError as error:
        if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise unreachable() from None
        raise
    except RuntimeError as error:
        # What the SDK raises when a lazy client's first connection fails.
        if "connect" not in str(error).lower():
            raise
        raise unreachable() from None


def _view(progress: OrderProgress, *, as_of: str) -> OrderView:
    return OrderView.model_validate(
        progress.model_dump() | {"workflow_id": workflow_id(progress.order_id), "as_of": as_of}
    )


async def _summary(execution: WorkflowExecution) -> OrderSummary:
    attributes = execution.typed_search_attributes
    status = attributes.get(ORDER_STATUS) or Status.RECEIVED
    ended_otherwise = execution.status not in (
        WorkflowExecutionStatus.RUNNING,
        WorkflowExecutionStatus.COMPLETED,
    )
    return OrderSummary(
        order_id=execution.id.removeprefix("order-"),
        workflow_id=execution.id,
        customer_id=attributes.get(CUSTOMER_ID) or "",
        status=Status.NEEDS_ATTENTION if ended_otherwise else status,
        currency=await execution.memo_value("currency", None),
        amount_minor=await execution.memo_value("amount_minor", None),
        received_at=execution.start_time,
        ended_at=execution.close_time,
    )


def _cursor(page_token: bytes) -> str:
    return base64.urlsafe_b64encode(_mark(page_token) + page_token).decode()


def _page_token(cursor: str | None) -> bytes | None:
    if cursor is None:
        return None
    try:
        decoded = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad_cursor() from None
    mark, page_token = decoded[:_MARK_BYTES], decoded[_MARK_BYTES:]
    # Temporal fails on a token that is not its own, as if it were down.
    if mark != _mark(page_token):
        raise _bad_cursor()
    return page_token


def _mark(page_token: bytes) -> bytes:
    return hashlib.sha256(page_token).digest()[:_MARK_BYTES]


def _bad_cursor() -> Problem:
    return Problem(422, "invalid-cursor", "The cursor is not one that this API gave out.")
