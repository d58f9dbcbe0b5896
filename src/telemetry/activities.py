"""What an activity's worker tells of it: its wait in the queue, each attempt, and how that came out."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.context import attach, get_current
from opentelemetry.trace import SpanKind
from temporalio import activity, worker

from contracts.errors import Refusal
from contracts.registry import STEPS
from contracts.steps import TELL_CUSTOMER, Outcome, StepInput
from telemetry import context, metrics, names, spans
from telemetry.headers import traceparent_in
from telemetry.redaction import message_of

STEP_OF = {name: step.name for step in STEPS.values() for name in (step.activity, step.undo) if name}
KIND_OF = {
    **{step.activity: "step" for step in STEPS.values()},
    **{step.undo: "undo" for step in STEPS.values() if step.undo},
    TELL_CUSTOMER: "notice",
}
"""What an activity is to an order, and the first half of its lines' `event.action`. Others are ours, and not told."""
_log = logging.getLogger(__name__)


class ActivityTracing(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        info = activity.info()
        kind = KIND_OF.get(info.activity_type)
        _bind_activity(info, input.args)
        # Never detached: the activity's task is its own, and what the SDK says of it afterwards belongs here too.
        attach(spans.context_of(traceparent_in(input.headers)))
        kept = {spans.KEPT: True} if kind in ("undo", "notice") else {}
        _tell_wait(info, kept)
        if kind:
            _tell(logging.INFO, f"{kind}-started", f"{info.activity_type} started")
        began = time.perf_counter()
        with spans.span(f"{names.RUN_ACTIVITY}:{info.activity_type}", SpanKind.CONSUMER, kept) as span:
            try:
                result = await super().execute_activity(input)
            except BaseException as error:
                _tell_attempt(info, kind, span, time.perf_counter() - began, _ending(info, kind, error))
                raise
            ending = _Ending("final" if kind == "undo" and result is not None else "done")
            _tell_attempt(info, kind, span, time.perf_counter() - began, ending)
        return result


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an attempt came out."""

    outcome: str
    level: int = logging.INFO
    action: str = ""
    """What follows from it, where that is another word than the outcome."""
    why: str = ""
    fields: Mapping[str, str | int | float] = field(default_factory=dict)
    error: BaseException | None = None
    """Where its stack trace is worth telling."""


def _tell_wait(info: activity.Info, attributes: Mapping[str, bool]) -> None:
    """The time that the attempt was in the task queue."""
    scheduled_at, started_at = info.current_attempt_scheduled_time, info.started_time
    spans.past_span(
        f"{names.WAIT_ACTIVITY}:{info.activity_type}",
        get_current(),
        spans.nanos(scheduled_at),
        spans.nanos(started_at),
        attributes=attributes,
    )
    metrics.STEP_WAIT.record((started_at - scheduled_at).total_seconds(), {"activity": info.activity_type})


def _tell_attempt(info: activity.Info, kind: str | None, span: trace.Span, seconds: float, ending: _Ending) -> None:
    span.set_attributes({names.OUTCOME: ending.outcome, **ending.fields})
    if ending.outcome in ("refused", "cancelled"):
        span.set_attribute(spans.KEPT, True)
    of_activity = {"activity": info.activity_type}
    metrics.STEP_DURATION.record(seconds, {**of_activity, "outcome": ending.outcome})
    if ending.outcome == "failed":
        metrics.RETRIES.add(1, of_activity)
    elif kind == "undo":
        metrics.UNDOS.add(1, {**of_activity, "outcome": ending.outcome})
    if kind or ending.outcome == "failed":
        what = ending.action or ending.outcome
        why = f": {ending.why}" if ending.why else ""
        _tell(
            ending.level,
            f"{kind or 'activity'}-{what}",
            f"{info.activity_type} {what}{why}",
            {names.DURATION: round(seconds * 1e9), **ending.fields},
            ending.error,
        )


def _ending(info: activity.Info, kind: str | None, error: BaseException) -> _Ending:
    if isinstance(error, Refusal):
        level = logging.ERROR if kind == "undo" else logging.INFO
        return _Ending("refused", level, why=error.message, fields={names.REASON: error.code})
    if isinstance(error, asyncio.CancelledError):
        details = activity.cancellation_details()
        if details is not None and details.worker_shutdown:
            return _Ending("given-back", logging.WARNING, why="the worker stops")
        return _Ending("cancelled")
    next_try_seconds = _next_try_seconds(info)
    return _Ending(
        "failed",
        logging.WARNING,
        action="retried" if next_try_seconds is not None else "failed",
        why=message_of(error) + (f"; next try in {next_try_seconds:g} s" if next_try_seconds is not None else ""),
        fields={
            names.ERROR_TYPE: type(error).__qualname__,
            **({names.NEXT_TRY_SECONDS: next_try_seconds} if next_try_seconds is not None else {}),
        },
        # Once: it is the same at each try, for as long as a neighbour is away.
        error=error if info.attempt == 1 else None,
    )


def _next_try_seconds(info: activity.Info) -> float | None:
    """By the activity's retry policy; None when this was its last attempt."""
    policy = info.retry_policy
    if policy is None or (policy.maximum_attempts and info.attempt >= policy.maximum_attempts):
        return None
    first_seconds = policy.initial_interval.total_seconds()
    longest_seconds = policy.maximum_interval.total_seconds() if policy.maximum_interval else 100 * first_seconds
    # The exponent is bounded: an order that retries for a day has made many attempts.
    return float(min(longest_seconds, first_seconds * policy.backoff_coefficient ** min(info.attempt - 1, 64)))


def _bind_activity(info: activity.Info, args: Sequence[Any]) -> None:
    context.bind(
        {
            **context.order_fields(info.workflow_id or ""),
            **({names.STEP: STEP_OF[info.activity_type]} if info.activity_type in STEP_OF else {}),
            names.WORKFLOW_ID: info.workflow_id or "",
            names.RUN_ID: info.workflow_run_id or "",
            names.ACTIVITY_TYPE: info.activity_type,
            names.TASK_QUEUE: info.task_queue,
            names.ATTEMPT: info.attempt,
        }
    )
    if args and isinstance(args[0], StepInput | Outcome):
        context.keep_order_secret(args[0].order)


def _tell(
    level: int,
    action: str,
    message: str,
    fields: Mapping[str, str | int | float] | None = None,
    error: BaseException | None = None,
) -> None:
    _log.log(level, message, extra={names.EVENT_ACTION: action, **(fields or {})}, exc_info=error)
