"""An order as the API shows it, made from what Temporal knows of it. Pure, but for the decoding of memos."""

from collections.abc import Sequence
from datetime import UTC

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus

from api import history
from api.problems import Problem
from api.responses import OrderSummary, OrderView
from contracts.orders import ENDS, OrderProgress, Reason, Status, StepState, order_id_of, workflow_id
from contracts.registry import STEPS
from contracts.search import CUSTOMER_ID, ORDER_STATUS
from telemetry.names import TRACE_MEMO
from telemetry.spans import trace_id


def current(progress: OrderProgress, trace_id: str | None) -> OrderView:
    """What the workflow itself says."""
    known = {"workflow_id": workflow_id(progress.order_id), "trace_id": trace_id, "as_of": "now"}
    return OrderView.model_validate(progress.model_dump() | known)


async def last_known(description: WorkflowExecutionDescription, events: Sequence[HistoryEvent]) -> OrderView:
    """The newest state on record, for when no order worker can say."""
    summary = await summarized(description)
    steps = history.progress(history.steps(events, description.raw_description.pending_activities))
    left = any(STEPS[step.step].point_of_no_return and step.state is StepState.DONE for step in steps)
    return OrderView(
        **summary.model_dump(exclude={"ended_at", "currency", "amount_minor"}),
        currency=summary.currency or "",
        amount_minor=summary.amount_minor or 0,
        updated_at=events[-1].event_time.ToDatetime(UTC) if events else summary.received_at,
        steps=steps,
        cancellable=not left,
        trace_id=trace_id(await description.memo_value(TRACE_MEMO, None)),
        as_of="last_known",
    )


async def cut_short(description: WorkflowExecutionDescription, events: Sequence[HistoryEvent]) -> OrderView:
    """An order that an operator ended past its workflow (terminated): what stands of it has to be looked at."""
    view = await last_known(description, events)
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


async def summarized(execution: WorkflowExecution) -> OrderSummary:
    """An order as the list shows it."""
    attributes = execution.typed_search_attributes
    ended_otherwise = execution.status not in (
        WorkflowExecutionStatus.RUNNING,
        WorkflowExecutionStatus.COMPLETED,
    )
    return OrderSummary(
        order_id=order_id_of(execution.id) or "",
        workflow_id=execution.id,
        customer_id=attributes.get(CUSTOMER_ID) or "",
        status=Status.NEEDS_ATTENTION if ended_otherwise else attributes.get(ORDER_STATUS) or Status.RECEIVED,
        currency=await execution.memo_value("currency", None),
        amount_minor=await execution.memo_value("amount_minor", None),
        received_at=execution.start_time,
        ended_at=execution.close_time,
    )


def refuse_if_too_late(view: OrderView) -> None:
    """Raises Problem 409 when the order can't be cancelled any more."""
    if view.cancellation is not None and view.cancellation.code in ("accepted", "cancelled"):
        return
    if view.status in ENDS:
        detail = f"The order has ended already: {view.status}."
        if view.status == Status.COMPLETED:
            detail += " The parcel has left."
    elif not view.cancellable:
        detail = "The parcel has left, so the order can't be cancelled any more."
    else:
        return
    raise Problem(409, "too-late-to-cancel", detail, order_status=view.status)
