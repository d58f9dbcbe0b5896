"""Finding out whether a step was ever begun, so that a cancelled order does not wait for an absent worker.

The history can't tell: Temporal writes an activity's start only when the activity ends. The server's own view of
the pending activity can, and pausing it keeps a worker from beginning it between the look and the cancellation.
"""

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, PauseActivityRequest

HOLD_ACTIVITY = "hold_step"


@activity.defn(name=HOLD_ACTIVITY)
async def hold_step(activity_id: str) -> bool:
    """Whether the calling workflow's pending activity never began, and now will not: it is paused."""
    if not _never_begun(await _pending(activity_id), PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED):
        return False
    info = activity.info()
    await activity.client().workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=info.namespace, execution=_execution(), id=activity_id, reason="the order was cancelled"
        )
    )
    # Looked at again, because a worker may have taken it before the pause.
    return _never_begun(await _pending(activity_id), PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED)


def _never_begun(pending: PendingActivityInfo | None, state: PendingActivityState.ValueType) -> bool:
    return (
        pending is not None
        and pending.state == state
        and pending.attempt <= 1
        and not pending.HasField("last_started_time")
    )


async def _pending(activity_id: str) -> PendingActivityInfo | None:
    description = await activity.client().workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=activity.info().namespace, execution=_execution())
    )
    return next((a for a in description.pending_activities if a.activity_id == activity_id), None)


def _execution() -> WorkflowExecution:
    info = activity.info()
    return WorkflowExecution(workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or "")
