"""Spans: how the rest of the code makes them, and how they find each other across processes."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes
from temporalio.exceptions import WorkflowAlreadyStartedError

from contracts.errors import Refusal
from telemetry import names

tracer = trace.get_tracer("orderflow")
propagator = TraceContextTextMapPropagator()

KEPT = "orderflow.kept"
"""On a span: its trace is exported though the sampler left it out, because its order did not simply complete."""
settled_ids: ContextVar[tuple[int | None, int | None]] = ContextVar("telemetry_settled_ids", default=(None, None))
"""The trace id and span id of the next span, where they are settled beforehand."""


def past_span(
    name: str,
    parent: Context,
    start_nanos: int,
    end_nanos: int,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    trace_id: int | None = None,
    span_id: int | None = None,
    attributes: Attributes = None,
) -> None:
    """A span of something that is over; `trace_id` counts where `parent` is empty."""
    token = settled_ids.set((trace_id, span_id))
    try:
        span = tracer.start_span(name, parent, kind, attributes, start_time=start_nanos)
    finally:
        settled_ids.reset(token)
    span.end(end_nanos)


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes = None,
    parent: Context | None = None,
    links: Sequence[trace.Link] = (),
) -> Iterator[trace.Span]:
    """The current span while the block runs. Of an exception it keeps the type; the text is for the log."""
    with tracer.start_as_current_span(
        name, parent, kind, attributes, links, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except (Refusal, WorkflowAlreadyStartedError, asyncio.CancelledError):
            raise  # An answer, or a wish: no fault.
        except BaseException as error:
            current.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
            current.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
            raise


def call_span(name: str, attributes: Attributes) -> AbstractContextManager[trace.Span]:
    """A span of a call to the outside: a database, a mail server. None where nothing is being traced: what a process
    does for itself, at its start say, is no part of any order."""
    if not trace.get_current_span().get_span_context().is_valid:
        return nullcontext(trace.INVALID_SPAN)
    return span(name, SpanKind.CLIENT, attributes)


def traceparent(of: Context | None = None) -> str:
    """W3C Trace Context of the current span, or of `of`; empty without one."""
    carrier: dict[str, str] = {}
    propagator.inject(carrier, of)
    return carrier.get("traceparent", "")


def context_of(traceparent: str | None) -> Context:
    """A context whose current span is the remote one; without one where there is none."""
    return propagator.extract({"traceparent": traceparent}, Context()) if traceparent else Context()


def trace_id(of: str | None) -> str | None:
    """The trace id in a traceparent, if it is a valid one."""
    found = trace.get_current_span(context_of(of)).get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else None


@contextmanager
def linked_to(other: str | None) -> Iterator[None]:
    """What the block does is part of the `other` trace (a traceparent), and linked to the current one both ways."""
    there = context_of(other)
    target, here = trace.get_current_span(there).get_span_context(), trace.get_current_span()
    if not target.is_valid:
        yield
        return
    here.add_link(target)
    token = attach(trace.set_span_in_context(_Linked(target, here.get_span_context()), there))
    try:
        yield
    finally:
        detach(token)


class _Linked(trace.NonRecordingSpan):
    """A remote parent that its children link back from."""

    def __init__(self, context: SpanContext, link: SpanContext) -> None:
        super().__init__(context)
        self.link = link


def links_of_parent() -> list[trace.Link]:
    current = trace.get_current_span()
    return [trace.Link(current.link)] if isinstance(current, _Linked) else []


def nanos(moment: datetime) -> int:
    """As spans have their times: since the epoch."""
    return int(moment.timestamp() * 1_000_000) * 1_000
