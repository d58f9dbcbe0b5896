"""An order's steps, read from Temporal's event history. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo

from api.responses import StepHistory
from contracts.orders import StepProgress, StepState
from contracts.registry import STEPS

_STEP_OF_ACTIVITY = {name: step.name for step in STEPS.values() for name in (step.activity, step.undo) if name}
_STATES: dict[str, StepState] = {
    "scheduled": StepState.RUNNING,
    "started": StepState.RUNNING,
    "completed": StepState.DONE,
    "failed": StepState.FAILED,
    "timed_out": StepState.FAILED,
    "cancelled": StepState.CANCELLED,
}


def steps(events: Iterable[HistoryEvent], pending: Iterable[PendingActivityInfo]) -> list[StepHistory]:
    """Each activity in the order it was scheduled.

    `pending` is what the history lacks: Temporal writes an activity's start only once it has ended.
    """
    found: dict[int, StepHistory] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                found[event.event_id] = StepHistory(
                    step=_STEP_OF_ACTIVITY.get(scheduled.activity_type.name, scheduled.task_queue.name),
                    activity=scheduled.activity_type.name,
                    task_queue=scheduled.task_queue.name,
                    state="scheduled",
                    attempts=0,
                    scheduled_at=_when(event.event_time),
                )
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                step = found[started.scheduled_event_id]
                step.attempts = started.attempt
                step.failure = _failure(started.last_failure) if started.HasField("last_failure") else None
                _start(step, _when(event.event_time))
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                done = event.activity_task_completed_event_attributes
                _end(found[done.scheduled_event_id], "completed", event)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                _end(found[failed.scheduled_event_id], "failed", event, failed.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                timed_out = event.activity_task_timed_out_event_attributes
                _end(found[timed_out.scheduled_event_id], "timed_out", event, timed_out.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
                cancelled = event.activity_task_canceled_event_attributes
                _end(found[cancelled.scheduled_event_id], "cancelled", event)
    _add_pending(found.values(), pending)
    return list(found.values())


def progress(history: Iterable[StepHistory]) -> list[StepProgress]:
    """The steps' last known states, for when no order worker can say."""
    known: dict[str, StepProgress] = {}
    undos = {step.undo for step in STEPS.values()}
    for entry in history:
        if entry.step not in STEPS or entry.activity not in _STEP_OF_ACTIVITY:
            continue
        state = _STATES[entry.state]
        if entry.activity in undos:
            done = {StepState.DONE: StepState.UNDONE, StepState.RUNNING: StepState.UNDOING}
            state = done.get(state, StepState.UNDO_FAILED)
        started_at = known[entry.step].started_at if entry.step in known else entry.scheduled_at
        known[entry.step] = StepProgress(step=entry.step, state=state, started_at=started_at, ended_at=entry.ended_at)
    return list(known.values())


def _add_pending(steps: Iterable[StepHistory], pending: Iterable[PendingActivityInfo]) -> None:
    by_activity = {info.activity_type.name: info for info in pending}
    for step in steps:
        info = by_activity.get(step.activity)
        if info is None or step.ended_at is not None:
            continue
        step.failure = _failure(info.last_failure) if info.HasField("last_failure") else None
        # The attempt that is scheduled counts only once a worker has taken it.
        begun = info.HasField("last_started_time") and info.attempt > 0
        step.attempts = info.attempt if begun else info.attempt - 1
        if begun:
            step.state = "started"
            _start(step, _when(info.last_started_time))


def _start(step: StepHistory, at: datetime) -> None:
    step.state = "started"
    step.started_at = at
    # Of a later attempt it is not known when it was scheduled.
    if step.attempts == 1:
        step.waited_seconds = (at - step.scheduled_at).total_seconds()


def _end(
    step: StepHistory,
    state: Literal["completed", "failed", "timed_out", "cancelled"],
    event: HistoryEvent,
    failure: Failure | None = None,
) -> None:
    step.state = state
    step.ended_at = _when(event.event_time)
    if failure is not None:
        step.failure = _failure(failure)


def _failure(failure: Failure) -> str:
    """Its type only: messages may say more than should leave."""
    if failure.HasField("application_failure_info"):
        return failure.application_failure_info.type or "Error"
    if failure.HasField("timeout_failure_info"):
        return "Timeout"
    return "Error"


def _when(moment: Timestamp) -> datetime:
    return moment.ToDatetime(UTC)
