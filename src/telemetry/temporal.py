"""Tracing interceptors for Temporal's client and workers, and what they measure and log on the way.

The SDK's own interceptor knows no wait in the queue, no attempt and no task queue, and makes a workflow's span anew,
with another id, when a workflow task is done again. So these are ours, with the SDK's header and its span names:

- In a workflow a span's id is derived from the run and its place in it: what is done twice is the same span.
- A scheduled activity is a span of no length, there at once; the wait and the attempt, told by the activity's worker,
  are its children. No span has children elsewhere before it has ended itself, so an order that is stuck shows all that
  happened, and what it waits for.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import SpanKind
from temporalio import activity, client, worker, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHandle
from temporalio.converter import PayloadConverter
from temporalio.workflow import ActivityHandle

from contracts.errors import Refusal
from contracts.orders import OrderInput, OrderProgress, Status, order_id_of
from contracts.registry import STEPS
from contracts.steps import TELL_CUSTOMER, Outcome, StepInput
from telemetry import context, metrics, names, traces
from telemetry.redaction import message_of

_HEADER = "_tracer-data"
_STEPS = {name: step.name for step in STEPS.values() for name in (step.activity, step.undo) if name}
_KINDS = {
    **{step.activity: "step" for step in STEPS.values()},
    **{step.undo: "undo" for step in STEPS.values() if step.undo},
    TELL_CUSTOMER: "notice",
}
"""What an activity is to an order, and the first half of its lines' `event.action`. Others are ours, and not told."""
_payloads = PayloadConverter.default
_log = logging.getLogger(__name__)


class Tracing(client.Interceptor, worker.Interceptor):
    """For `Client.connect(interceptors=…)`; the client's workers take it over from there."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        return _Client(next)

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:
        return _Activity(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: ARG002 - the SDK's interface
    ) -> type[worker.WorkflowInboundInterceptor]:
        return _Workflow


class _Client(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        # What the workflow does hangs below the caller's span and not below this one: see `telemetry.http`.
        parent = traces.traceparent()
        if parent:
            input.headers = {**input.headers, **_headers(parent)}
            input.memo = {**(input.memo or {}), names.TRACE_MEMO: parent}
        attributes = {names.WORKFLOW_TYPE: input.workflow, names.TASK_QUEUE: input.task_queue}
        with traces.span(f"{names.START_WORKFLOW}:{input.workflow}", SpanKind.CLIENT, attributes):
            return await super().start_workflow(input)

    async def cancel_workflow(self, input: client.CancelWorkflowInput) -> None:
        with traces.span(names.CANCEL_WORKFLOW, SpanKind.CLIENT, links=traces.links_of_parent()) as span:
            await super().cancel_workflow(input)
            # From here on the workflow knows of it, and sees to the parent.
            span.set_attribute(traces.KEPT, True)

    async def query_workflow(self, input: client.QueryWorkflowInput) -> Any:
        with traces.span(f"{names.QUERY_WORKFLOW}:{input.query}", SpanKind.CLIENT):
            return await super().query_workflow(input)


class _Activity(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        info = activity.info()
        kind = _KINDS.get(info.activity_type)
        _bind_activity(info, input.args)
        # Never detached: the activity's task is its own, and what the SDK says of it afterwards belongs here too.
        attach(traces.context_of(_traceparent(input.headers)))
        kept = {traces.KEPT: True} if kind in ("undo", "notice") else {}
        _tell_wait(info, kept)
        if kind:
            _tell(logging.INFO, f"{kind}-started", f"{info.activity_type} started")
        began = time.perf_counter()
        with traces.span(f"{names.RUN_ACTIVITY}:{info.activity_type}", SpanKind.CONSUMER, kept) as span:
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
    traces.past_span(
        f"{names.WAIT_ACTIVITY}:{info.activity_type}",
        get_current(),
        _nanos(scheduled_at),
        _nanos(started_at),
        attributes=attributes,
    )
    metrics.STEP_WAIT.record((started_at - scheduled_at).total_seconds(), {"activity": info.activity_type})


def _tell_attempt(info: activity.Info, kind: str | None, span: trace.Span, seconds: float, ending: _Ending) -> None:
    span.set_attributes({names.OUTCOME: ending.outcome, **ending.fields})
    if ending.outcome in ("refused", "cancelled"):
        span.set_attribute(traces.KEPT, True)
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
            ending.fields,
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


class _Workflow(worker.WorkflowInboundInterceptor):
    def __init__(self, next: worker.WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        self.traceparent = ""
        self._scheduled: list[tuple[str, int, int, dict[str, str]]] = []

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOutbound(outbound, self))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        info = workflow.info()
        self.traceparent = _traceparent(info.headers)
        context.bind(
            {
                **_order(info.workflow_id),
                names.WORKFLOW_ID: info.workflow_id,
                names.RUN_ID: info.run_id,
                names.WORKFLOW_TYPE: info.workflow_type,
                names.TASK_QUEUE: info.task_queue,
            }
        )
        if input.args and isinstance(input.args[0], OrderInput):
            context.keep_order_secret(input.args[0].order)
        attach(traces.context_of(self.traceparent))
        result = await super().execute_workflow(input)
        # Not reached when the worker drops the workflow from its cache, and not when it fails by a defect.
        if isinstance(result, OrderProgress) and not workflow.unsafe.is_replaying():
            self._tell_end(info, result)
        return result

    def schedule(self, activity_type: str, task_queue: str) -> str:
        """The traceparent for an activity that is scheduled now, whose span it makes unless that was done before."""
        parent = trace.get_current_span(traces.context_of(self.traceparent)).get_span_context()
        if not parent.is_valid:
            return ""
        span_id = _derived_id(workflow.info().run_id, len(self._scheduled))
        step = {names.STEP: _STEPS[activity_type]} if activity_type in _STEPS else {}
        attributes = {names.ACTIVITY_TYPE: activity_type, names.TASK_QUEUE: task_queue, **step}
        self._scheduled.append((f"{names.START_ACTIVITY}:{activity_type}", span_id, workflow.time_ns(), attributes))
        if not workflow.unsafe.is_replaying():
            self._emit_scheduled(-1)
        flags = f"{int(parent.trace_flags):02x}"
        return f"00-{trace.format_trace_id(parent.trace_id)}-{trace.format_span_id(span_id)}-{flags}"

    def _emit_scheduled(self, index: int, *, kept: bool = False) -> None:
        name, span_id, at_nanos, attributes = self._scheduled[index]
        traces.past_span(
            name,
            traces.context_of(self.traceparent),
            at_nanos,
            at_nanos,
            kind=SpanKind.PRODUCER,
            span_id=span_id,
            attributes={**attributes, **({traces.KEPT: True} if kept else {})},
        )

    def _undid(self) -> bool:
        return any(_KINDS.get(attributes[names.ACTIVITY_TYPE]) == "undo" for *_, attributes in self._scheduled)

    def _tell_end(self, info: workflow.Info, progress: OrderProgress) -> None:
        parent = traces.context_of(self.traceparent)
        started_nanos, ended_nanos = _nanos(info.start_time), workflow.time_ns()
        reason = {names.REASON: progress.reason.code} if progress.reason else {}
        kept = progress.status != Status.COMPLETED or progress.cancellation is not None or self._undid()
        root = trace.get_current_span(parent).get_span_context()
        if kept and root.is_valid and not root.trace_flags.sampled:
            # What the sampler left out is made good: the request's root, and what was scheduled.
            traces.past_span(
                names.ORDER,
                Context(),
                started_nanos,
                started_nanos,
                trace_id=root.trace_id,
                span_id=root.span_id,
                attributes={traces.KEPT: True},
            )
            for index in range(len(self._scheduled)):
                self._emit_scheduled(index, kept=True)
        traces.past_span(
            f"{names.RUN_WORKFLOW}:{info.workflow_type}",
            parent,
            started_nanos,
            ended_nanos,
            span_id=_derived_id(info.run_id, -1),
            attributes={names.OUTCOME: progress.status, **reason, **({traces.KEPT: True} if kept else {})},
        )
        metrics.ORDERS.add(1, {"outcome": progress.status})
        metrics.ORDER_DURATION.record((ended_nanos - started_nanos) / 1e9, {"outcome": progress.status})


class _WorkflowOutbound(worker.WorkflowOutboundInterceptor):
    def __init__(self, next: worker.WorkflowOutboundInterceptor, root: _Workflow) -> None:
        super().__init__(next)
        self._root = root

    def start_activity(self, input: worker.StartActivityInput) -> ActivityHandle[Any]:
        traceparent = self._root.schedule(input.activity, input.task_queue or workflow.info().task_queue)
        input.headers = {**input.headers, **_headers(traceparent)}
        return super().start_activity(input)


def _bind_activity(info: activity.Info, args: Sequence[Any]) -> None:
    context.bind(
        {
            **_order(info.workflow_id or ""),
            **({names.STEP: _STEPS[info.activity_type]} if info.activity_type in _STEPS else {}),
            names.WORKFLOW_ID: info.workflow_id or "",
            names.RUN_ID: info.workflow_run_id or "",
            names.ACTIVITY_TYPE: info.activity_type,
            names.TASK_QUEUE: info.task_queue,
            names.ATTEMPT: info.attempt,
        }
    )
    if args and isinstance(args[0], StepInput | Outcome):
        context.keep_order_secret(args[0].order)


def _order(workflow_id: str) -> dict[str, str]:
    order_id = order_id_of(workflow_id)
    return {names.ORDER_ID: order_id} if order_id else {}


def _tell(
    level: int,
    action: str,
    message: str,
    fields: Mapping[str, str | int | float] | None = None,
    error: BaseException | None = None,
) -> None:
    _log.log(level, message, extra={names.EVENT_ACTION: action, **(fields or {})}, exc_info=error)


def _headers(traceparent: str) -> dict[str, Payload]:
    return {_HEADER: _payloads.to_payloads([{"traceparent": traceparent}])[0]} if traceparent else {}


def _traceparent(headers: Mapping[str, Payload]) -> str:
    if _HEADER not in headers:
        return ""
    carrier: dict[str, str] = _payloads.from_payloads([headers[_HEADER]])[0]
    return carrier.get("traceparent", "")


def _derived_id(run_id: str, place: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{run_id}/{place}".encode()).digest()[:8])


def _nanos(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
