"""Tracing interceptors for Temporal's client and workers, and what they measure and log on the way.

The SDK's own interceptor knows no wait in the queue, no attempt and no task queue, and makes a workflow's span anew,
with another id, when a workflow task is done again. So these are ours, with the SDK's header and its span names:

- In a workflow a span's id is derived from the run and its place in it: what is done twice is the same span.
- A scheduled activity is a span of no length, there at once; the wait and the attempt, told by the activity's worker,
  are its children. No span has children elsewhere before it has ended itself, so an order that is stuck shows all that
  happened, and what it waits for.
"""

from typing import Any

from opentelemetry.trace import SpanKind
from temporalio import client, worker
from temporalio.client import WorkflowHandle

from telemetry import names, spans
from telemetry.activities import ActivityTracing
from telemetry.headers import headers
from telemetry.workflows import WorkflowTracing


class Tracing(client.Interceptor, worker.Interceptor):
    """For `Client.connect(interceptors=…)`; the client's workers take it over from there."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        return _Client(next)

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:
        return ActivityTracing(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: ARG002 - the SDK's interface
    ) -> type[worker.WorkflowInboundInterceptor]:
        return WorkflowTracing


class _Client(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        # What the workflow does hangs below the caller's span and not below this one: see `telemetry.http`.
        parent = spans.traceparent()
        if parent:
            input.headers = {**input.headers, **headers(parent)}
            input.memo = {**(input.memo or {}), names.TRACE_MEMO: parent}
        attributes = {names.WORKFLOW_TYPE: input.workflow, names.TASK_QUEUE: input.task_queue}
        with spans.span(f"{names.START_WORKFLOW}:{input.workflow}", SpanKind.CLIENT, attributes):
            return await super().start_workflow(input)

    async def cancel_workflow(self, input: client.CancelWorkflowInput) -> None:
        with spans.span(names.CANCEL_WORKFLOW, SpanKind.CLIENT, links=spans.links_of_parent()) as span:
            await super().cancel_workflow(input)
            # From here on the workflow knows of it, and sees to the parent.
            span.set_attribute(spans.KEPT, True)

    async def query_workflow(self, input: client.QueryWorkflowInput) -> Any:
        with spans.span(f"{names.QUERY_WORKFLOW}:{input.query}", SpanKind.CLIENT):
            return await super().query_workflow(input)
