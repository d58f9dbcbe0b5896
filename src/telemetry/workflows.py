"""What the order worker tells of a workflow: each activity that it schedules, and its end. Replay tells nothing.

A span's id is derived from the run and the span's place in it, so that what is done twice is the same span.
"""

import hashlib
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.trace import SpanKind
from temporalio import worker, workflow
from temporalio.workflow import ActivityHandle

from contracts.orders import OrderInput, OrderProgress, Status
from telemetry import context, metrics, names, spans
from telemetry.activities import KIND_OF, STEP_OF
from telemetry.headers import headers, traceparent_in
from telemetry.once import Once

_told = Once()


class WorkflowTracing(worker.WorkflowInboundInterceptor):
    def __init__(self, next: worker.WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        self.traceparent = ""
        self._scheduled: list[tuple[str, int, int, dict[str, str]]] = []

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOutbound(outbound, self))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        info = workflow.info()
        self.traceparent = traceparent_in(info.headers)
        context.bind(
            {
                **context.order_fields(info.workflow_id),
                names.WORKFLOW_ID: info.workflow_id,
                names.RUN_ID: info.run_id,
                names.WORKFLOW_TYPE: info.workflow_type,
                names.TASK_QUEUE: info.task_queue,
            }
        )
        if input.args and isinstance(input.args[0], OrderInput):
            context.keep_order_secret(input.args[0].order)
        attach(spans.context_of(self.traceparent))
        result = await super().execute_workflow(input)
        # Not reached when the worker drops the workflow from its cache, and not when it fails by a defect.
        if isinstance(result, OrderProgress) and not workflow.unsafe.is_replaying():
            end_id = _derived_id(info.run_id, -1)
            if _told.is_new(end_id):
                self._tell_end(info, result, end_id)
        return result

    def schedule(self, activity_type: str, task_queue: str) -> str:
        """The traceparent for an activity that is scheduled now, whose span it makes unless that was done before."""
        parent = trace.get_current_span(spans.context_of(self.traceparent)).get_span_context()
        if not parent.is_valid:
            return ""
        span_id = _derived_id(workflow.info().run_id, len(self._scheduled))
        step = {names.STEP: STEP_OF[activity_type]} if activity_type in STEP_OF else {}
        attributes = {names.ACTIVITY_TYPE: activity_type, names.TASK_QUEUE: task_queue, **step}
        self._scheduled.append((f"{names.START_ACTIVITY}:{activity_type}", span_id, workflow.time_ns(), attributes))
        if not workflow.unsafe.is_replaying() and _told.is_new(span_id):
            self._emit_scheduled(-1)
        flags = f"{int(parent.trace_flags):02x}"
        return f"00-{trace.format_trace_id(parent.trace_id)}-{trace.format_span_id(span_id)}-{flags}"

    def _emit_scheduled(self, index: int, *, kept: bool = False) -> None:
        name, span_id, at_nanos, attributes = self._scheduled[index]
        spans.past_span(
            name,
            spans.context_of(self.traceparent),
            at_nanos,
            at_nanos,
            kind=SpanKind.PRODUCER,
            span_id=span_id,
            attributes={**attributes, **({spans.KEPT: True} if kept else {})},
        )

    def _undid(self) -> bool:
        return any(KIND_OF.get(attributes[names.ACTIVITY_TYPE]) == "undo" for *_, attributes in self._scheduled)

    def _tell_end(self, info: workflow.Info, progress: OrderProgress, span_id: int) -> None:
        parent = spans.context_of(self.traceparent)
        started_nanos, ended_nanos = spans.nanos(info.start_time), workflow.time_ns()
        reason = {names.REASON: progress.reason.code} if progress.reason else {}
        kept = progress.status != Status.COMPLETED or progress.cancellation is not None or self._undid()
        root = trace.get_current_span(parent).get_span_context()
        if kept and root.is_valid and not root.trace_flags.sampled:
            # What the sampler left out is made good: the request's root, and what was scheduled.
            spans.past_span(
                names.ORDER,
                Context(),
                started_nanos,
                started_nanos,
                trace_id=root.trace_id,
                span_id=root.span_id,
                attributes={spans.KEPT: True},
            )
            for index in range(len(self._scheduled)):
                self._emit_scheduled(index, kept=True)
        spans.past_span(
            f"{names.RUN_WORKFLOW}:{info.workflow_type}",
            parent,
            started_nanos,
            ended_nanos,
            span_id=span_id,
            attributes={names.OUTCOME: progress.status, **reason, **({spans.KEPT: True} if kept else {})},
        )
        metrics.ORDERS.add(1, {"outcome": progress.status})
        metrics.ORDER_DURATION.record((ended_nanos - started_nanos) / 1e9, {"outcome": progress.status})


class _WorkflowOutbound(worker.WorkflowOutboundInterceptor):
    def __init__(self, next: worker.WorkflowOutboundInterceptor, root: WorkflowTracing) -> None:
        super().__init__(next)
        self._root = root

    def start_activity(self, input: worker.StartActivityInput) -> ActivityHandle[Any]:
        traceparent = self._root.schedule(input.activity, input.task_queue or workflow.info().task_queue)
        input.headers = {**input.headers, **headers(traceparent)}
        return super().start_activity(input)


def _derived_id(run_id: str, place: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{run_id}/{place}".encode()).digest()[:8])
