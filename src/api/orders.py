"""Orders as Temporal keeps them: placed, looked up, listed, cancelled."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uuid_utils.compat
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api import cursors, history, views
from api.problems import Problem, unreachable
from api.requests import PlaceOrder
from api.responses import OrderHistory, OrderPage, OrderView
from contracts.money import readable
from contracts.orders import (
    PROGRESS_QUERY,
    WORKFLOW_TYPE,
    OrderInput,
    OrderProgress,
    Status,
    workflow_id,
)
from contracts.registry import task_queue
from contracts.search import CUSTOMER_ID, ORDER_STATUS
from telemetry import context
from telemetry.http import about, link_to, order_root
from telemetry.names import EVENT_ACTION, ORDER_ID, TRACE_MEMO, WORKFLOW_ID
from telemetry.spans import linked_to, trace_id, traceparent

# Name-based (RFC 9562, version 5) within a namespace of our own: one key, one order, on every API process.
_KEYED_ORDERS = uuid.UUID("6f0d4a52-3a1e-5d0f-9a77-0c1b8f3c2e11")
_ANSWER_SECONDS = 4.0
"""Within this an unreachable Temporal is reported."""
_QUERY_SECONDS = 1.0
"""How long an order worker may take to answer before the last known state is given."""
_NOT_NOW = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    # Too much at once, or something else has just changed the same: later it may well work.
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    order_id: str
    replayed: bool
    """Whether an earlier request with the same key had placed it."""
    trace_id: str | None


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
        context.keep_order_secret(order)
        self._about(order_id)
        async with _answer_in_time():
            try:
                with order_root():
                    started = traceparent()
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
                placed_in = await description.memo_value(TRACE_MEMO, None)
                link_to(placed_in)
                if await description.memo_value("request_digest", None) != sent.digest():
                    raise Problem(
                        422, "idempotency-key-reused", "This Idempotency-Key was used for another order."
                    ) from None
                return Placed(order_id, replayed=True, trace_id=trace_id(placed_in))
        _log.info("order received", extra={EVENT_ACTION: "order-received"})
        return Placed(order_id, replayed=False, trace_id=trace_id(started))

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
            traced = trace_id(await description.memo_value(TRACE_MEMO, None))
            if description.status is WorkflowExecutionStatus.COMPLETED:
                return views.current(await handle.result(), traced)
            if description.status is not WorkflowExecutionStatus.RUNNING:
                return await views.cut_short(description, await _events(handle))
            try:
                # Not `rpc_timeout`: that bounds one attempt, and the SDK makes several.
                async with asyncio.timeout(_QUERY_SECONDS):
                    progress = await handle.query(PROGRESS_QUERY, result_type=OrderProgress)
            except (RPCError, WorkflowQueryFailedError, TimeoutError):
                return await views.last_known(description, await _events(handle))
            return views.current(progress, traced)

    async def page(self, status: str | None, customer_id: str | None, limit: int, cursor: str | None) -> OrderPage:
        """Orders, running ones first, then the newest. Raises Problem 422 for a cursor that is not one of ours."""
        conditions = [f"WorkflowType = '{WORKFLOW_TYPE}'"]
        if status:
            conditions.append(f"{ORDER_STATUS.name} = '{status}'")
        if customer_id:
            conditions.append(f"{CUSTOMER_ID.name} = '{customer_id}'")
        found = self._client.list_workflows(
            " AND ".join(conditions), page_size=limit, next_page_token=cursors.page_token(cursor)
        )
        async with _answer_in_time():
            try:
                await found.fetch_next_page()
            except RPCError as error:
                if error.status is RPCStatusCode.INVALID_ARGUMENT and cursor:
                    raise cursors.foreign() from None
                raise
            orders = [await views.summarized(execution) for execution in found.current_page or []]
        return OrderPage(orders=orders, next_cursor=cursors.cursor(found.next_page_token or b""))

    async def cancel(self, order_id: str) -> OrderView:
        """Ask for the order to be undone. Raises Problem 409 when it is too late, 404, 503."""
        view = await self.get(order_id)
        views.refuse_if_too_late(view)
        async with _answer_in_time():
            handle = self._handle(order_id)
            placed_in = await (await self._describe(handle)).memo_value(TRACE_MEMO, None)
            try:
                with linked_to(placed_in):
                    await handle.cancel()
            except RPCError as error:
                # It ended since we looked, or was cancelled already: what it is now says which.
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                view = await self.get(order_id)
                views.refuse_if_too_late(view)
        _log.info("cancellation asked for", extra={EVENT_ACTION: "order-cancel"})
        return view

    async def history(self, order_id: str) -> OrderHistory:
        """The order's steps with their times and attempts. Raises Problem 404, 503."""
        handle = self._handle(order_id)
        async with _answer_in_time():
            description = await self._describe(handle)
            events = await _events(handle)
        return OrderHistory(
            order_id=order_id,
            workflow_id=workflow_id(order_id),
            steps=history.steps(events, description.raw_description.pending_activities),
        )

    async def reachable(self) -> None:
        """Raises Problem 503 unless Temporal answers, and has its database and our namespace."""
        namespace = self._client.namespace
        async with _answer_in_time():
            try:
                # Read from the database, of which the server's own health says nothing.
                await self._client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
            except RPCError:
                raise unreachable() from None

    def _handle(self, order_id: str) -> WorkflowHandle[object, OrderProgress]:
        self._about(order_id)
        return self._client.get_workflow_handle(workflow_id(order_id), result_type=OrderProgress)

    def _about(self, order_id: str) -> None:
        fields = {ORDER_ID: order_id, WORKFLOW_ID: workflow_id(order_id)}
        context.bind(fields)
        about(fields)

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


async def _events(handle: WorkflowHandle[object, OrderProgress]) -> list[HistoryEvent]:
    return [event async for event in handle.fetch_history_events()]


@asynccontextmanager
async def _answer_in_time() -> AsyncIterator[None]:
    """Turns an unreachable Temporal into Problem 503, soon."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            yield
    except TimeoutError:
        raise unreachable() from None
    except RPCError as error:
        if error.status in _NOT_NOW:
            raise unreachable() from None
        raise
    except RuntimeError as error:
        # What the SDK raises when a lazy client's first connection fails.
        if "connect" not in str(error).lower():
            raise
        raise unreachable() from None
