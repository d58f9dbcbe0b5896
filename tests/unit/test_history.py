"""An order's steps as read from Temporal's event history, on events as Temporal writes them."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import ActivityType
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, TimeoutFailureInfo
from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskScheduledEventAttributes,
    ActivityTaskStartedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
    HistoryEvent,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PendingActivityInfo

from api.history import progress, steps
from contracts.orders import StepState
from contracts.registry import STEPS

START = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
REFUSED = Failure(message="The card was declined.", application_failure_info=ApplicationFailureInfo(type="Refusal"))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def stamp(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(at(seconds))
    return moment


def scheduled(number: int, activity: str, queue: str, seconds: float) -> HistoryEvent:
    return HistoryEvent(
        event_id=number,
        event_time=stamp(seconds),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        activity_task_scheduled_event_attributes=ActivityTaskScheduledEventAttributes(
            activity_type=ActivityType(name=activity), task_queue=TaskQueue(name=queue)
        ),
    )


def started(of: int, seconds: float, attempt: int = 1, failure: Failure | None = None) -> HistoryEvent:
    return HistoryEvent(
        event_id=of + 1,
        event_time=stamp(seconds),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        activity_task_started_event_attributes=ActivityTaskStartedEventAttributes(
            scheduled_event_id=of, attempt=attempt, last_failure=failure
        ),
    )


def completed(of: int, seconds: float) -> HistoryEvent:
    return HistoryEvent(
        event_id=of + 2,
        event_time=stamp(seconds),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        activity_task_completed_event_attributes=ActivityTaskCompletedEventAttributes(scheduled_event_id=of),
    )


def failed(of: int, seconds: float, failure: Failure) -> HistoryEvent:
    return HistoryEvent(
        event_id=of + 2,
        event_time=stamp(seconds),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        activity_task_failed_event_attributes=ActivityTaskFailedEventAttributes(scheduled_event_id=of, failure=failure),
    )


def timed_out(of: int, seconds: float) -> HistoryEvent:
    return HistoryEvent(
        event_id=of + 2,
        event_time=stamp(seconds),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
        activity_task_timed_out_event_attributes=ActivityTaskTimedOutEventAttributes(
            scheduled_event_id=of, failure=Failure(timeout_failure_info=TimeoutFailureInfo())
        ),
    )


def cancelled(of: int, seconds: float) -> HistoryEvent:
    return HistoryEvent(
        event_id=of + 2,
        event_time=stamp(seconds),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
        activity_task_canceled_event_attributes=ActivityTaskCanceledEventAttributes(scheduled_event_id=of),
    )


def test_a_step_that_is_done_shows_its_wait_and_its_times() -> None:
    """A step's history says when it was put in its queue, how long it waited there, and when it began and ended."""
    (step,) = steps([scheduled(5, "take_payment", "payment", 0), started(5, 2.5), completed(5, 3)], [])
    assert (step.step, step.activity, step.task_queue, step.state) == (
        "payment",
        "take_payment",
        "payment",
        "completed",
    )
    assert (step.scheduled_at, step.started_at, step.ended_at) == (at(0), at(2.5), at(3))
    assert (step.attempts, step.waited_seconds, step.failure) == (1, 2.5, None)


def test_steps_come_in_the_order_they_were_scheduled() -> None:
    """Steps and undos are listed as they were scheduled, each under its step's name."""
    history = [
        scheduled(5, "take_payment", "payment", 0),
        started(5, 1),
        completed(5, 2),
        scheduled(11, "reserve_items", "inventory", 3),
        started(11, 4),
        failed(11, 5, REFUSED),
        scheduled(17, "refund_payment", "payment", 6),
        started(17, 7),
        completed(17, 8),
    ]
    found = steps(history, [])
    assert [(step.step, step.activity, step.state) for step in found] == [
        ("payment", "take_payment", "completed"),
        ("inventory", "reserve_items", "failed"),
        ("payment", "refund_payment", "completed"),
    ]
    assert {step.step: step.state for step in progress(found)} == {
        "payment": StepState.UNDONE,
        "inventory": StepState.FAILED,
    }


def test_a_retried_step_counts_its_attempts_and_claims_no_wait() -> None:
    """Of a later attempt it is not known when it was put in the queue, so no wait is claimed for it."""
    last = Failure(message="secret", application_failure_info=ApplicationFailureInfo(type="OutsideUnavailable"))
    history = [scheduled(5, "ship_order", "shipping", 0), started(5, 30, attempt=4, failure=last), completed(5, 31)]
    (step,) = steps(history, [])
    assert (step.attempts, step.waited_seconds, step.failure) == (4, None, "OutsideUnavailable")


@pytest.mark.parametrize(
    ("end", "state", "failure"),
    [
        (failed(5, 2, REFUSED), "failed", "Refusal"),
        (failed(5, 2, Failure(message="secret")), "failed", "Error"),
        (timed_out(5, 2), "timed_out", "Timeout"),
        (cancelled(5, 2), "cancelled", None),
    ],
)
def test_a_step_that_ended_badly_tells_the_kind_of_failure(end: HistoryEvent, state: str, failure: str | None) -> None:
    """A failure is told by its type only; its message, which may hold personal data, stays in Temporal."""
    (step,) = steps([scheduled(5, "take_payment", "payment", 0), started(5, 1), end], [])
    assert (step.state, step.failure, step.ended_at) == (state, failure, at(2))
    assert "secret" not in step.model_dump_json()
    assert "declined" not in step.model_dump_json()


def test_a_step_that_ended_before_any_worker_took_it() -> None:
    """A step whose time ran out in its queue was never attempted."""
    (step,) = steps([scheduled(5, "take_payment", "payment", 0), timed_out(5, 60)], [])
    assert (step.state, step.attempts, step.started_at, step.waited_seconds) == ("timed_out", 0, None, None)


def pending(
    state: PendingActivityState.ValueType, attempt: int, started_at: float | None, failure: Failure | None = None
) -> PendingActivityInfo:
    return PendingActivityInfo(
        activity_type=ActivityType(name="ship_order"),
        state=state,
        attempt=attempt,
        last_started_time=None if started_at is None else stamp(started_at),
        last_failure=failure,
    )


SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


@pytest.mark.parametrize(
    ("info", "state", "attempts", "waited"),
    [
        pytest.param(pending(SCHEDULED, 1, None), "scheduled", 0, None, id="nobody took it"),
        pytest.param(pending(STARTED, 1, 7), "started", 1, 7.0, id="a worker has it"),
        pytest.param(pending(SCHEDULED, 3, None, REFUSED), "scheduled", 2, None, id="waits for its third attempt"),
        pytest.param(pending(STARTED, 3, 9, REFUSED), "started", 3, None, id="is at its third attempt"),
    ],
)
def test_a_step_under_way(info: PendingActivityInfo, state: str, attempts: int, waited: float | None) -> None:
    """A step under way says whether a worker has it now, and how many attempts have begun."""
    (step,) = steps([scheduled(5, "ship_order", "shipping", 0)], [info])
    assert (step.state, step.attempts, step.waited_seconds) == (state, attempts, waited)
    assert step.ended_at is None
    assert step.failure == ("Refusal" if info.HasField("last_failure") else None)


def test_what_is_pending_belongs_to_the_unfinished_execution() -> None:
    """What is pending does not change an execution of the same activity that has ended."""
    history = [
        scheduled(5, "ship_order", "shipping", 0),
        started(5, 1),
        cancelled(5, 2),
        scheduled(11, "ship_order", "shipping", 3),
    ]
    first, second = steps(history, [pending(STARTED, 1, 4)])
    assert (first.state, first.started_at) == ("cancelled", at(1))
    assert (second.state, second.started_at) == ("started", at(4))


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], StepState.UNDOING),
        ([started(11, 4), completed(11, 5)], StepState.UNDONE),
        ([started(11, 4), failed(11, 5, REFUSED)], StepState.UNDO_FAILED),
        ([started(11, 4), timed_out(11, 5)], StepState.UNDO_FAILED),
    ],
)
def test_an_undo_is_told_as_such(events: list[HistoryEvent], state: StepState) -> None:
    """The last known state of a step that is being undone is the undo's, and it began when the step did."""
    done = [scheduled(5, "take_payment", "payment", 0), started(5, 1), completed(5, 2)]
    (known,) = progress(steps([*done, scheduled(11, "refund_payment", "payment", 3), *events], []))
    assert (known.step, known.state, known.started_at) == ("payment", state, at(0))


def test_activities_that_are_no_step_do_not_count_as_progress() -> None:
    """Activities beside the steps show in the history and not among the order's steps."""
    found = steps([scheduled(5, "hold_step", "order", 0), scheduled(6, "tell_customer", "notification", 0)], [])
    assert [step.step for step in found] == ["order", "notification"]
    assert progress(found) == []


def test_every_step_s_activities_are_known() -> None:
    """Each step's activity and undo, whatever their queue, are told under the step's name."""
    for step in STEPS.values():
        for name in filter(None, (step.activity, step.undo)):
            (found,) = steps([scheduled(5, name, "elsewhere", 0)], [])
            assert found.step == step.name
