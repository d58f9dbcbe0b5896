"""Traces: the provider, and what it does to spans before they leave."""

import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, SpanKind, Status, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from telemetry import context, metrics
from telemetry.redaction import MASK, Secrets, redact
from telemetry.spans import KEPT, settled_ids

_MOST_HELD = 2_000
"""Spans held back in one process; more are dropped, and counted."""
_MOST_WAITING = 8_192
"""Spans that may wait to be sent; more are dropped, and counted."""
_ANYONES = frozenset({"url.query", "http.request.method_original"})
"""Attributes whose values are a client's words; the query is URL-quoted besides."""
_OURS = ("temporal.", "order.", "orderflow.")
"""Attributes whose values are made by ourselves, and never anyone's data."""


def provider(resource: Resource, outbox: "Outbox", delay_millis: float) -> TracerProvider:
    """`delay_millis` is how long ended spans may wait for company before they are sent."""
    made = TracerProvider(
        sampler=_RecordAll(sampling._get_from_env_or_default()),
        resource=resource,
        shutdown_on_exit=False,
        id_generator=_Ids(),
    )
    made.add_span_processor(
        ParentsFirst(
            BatchSpanProcessor(outbox, schedule_delay_millis=delay_millis, max_queue_size=_MOST_WAITING), outbox.admit
        )
    )
    return made


class Outbox(SpanExporter):
    """What waits to be sent: bounded, counted, and not in a hurry.

    A span waits for a moment, so that the processes in which its parent ended send first and on arrival it is there.
    """

    def __init__(self, exporter: SpanExporter, least_age_seconds: float) -> None:
        self._exporter = exporter
        self._least_age_seconds = least_age_seconds
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._waiting = 0

    def admit(self) -> bool:
        """Whether there is room for one span more, which is then taken."""
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                return False
            self._waiting += 1
            return True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        newest_seconds = max(span.end_time or 0 for span in spans) / 1e9
        # Never longer than that, whatever the clocks of others say.
        wait_seconds = min(newest_seconds + self._least_age_seconds - time.time(), self._least_age_seconds)
        self._ending.wait(max(0.0, wait_seconds))
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            with self._lock:
                self._waiting -= len(spans)
            if result is not SpanExportResult.SUCCESS:
                metrics.SPANS_DROPPED.add(len(spans), {"reason": "not sent"})
        return result

    def hurry(self) -> None:
        """From here on nothing waits: the process is about to end."""
        self._ending.set()

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _RecordAll(sampling.Sampler):
    """Records what the standard sampler would drop: whether its order is one to keep is known only later."""

    def __init__(self, standard: sampling.Sampler) -> None:
        self._standard = standard

    def should_sample(  # noqa: PLR0917 - the SDK's interface
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> sampling.SamplingResult:
        result = self._standard.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is sampling.Decision.DROP:
            # With the attributes, which a sampler that drops a span leaves out of its result.
            return sampling.SamplingResult(sampling.Decision.RECORD_ONLY, attributes, result.trace_state)
        return result

    def get_description(self) -> str:
        return f"RecordAll({self._standard.get_description()})"


class ParentsFirst(SpanProcessor):
    """Holds an ended span until its parent, if that is in this process, has ended too.

    So nothing ever arrives without its parent: not while a slow attempt runs, and not when its process is killed,
    which takes both. What leaves bears the bound fields, and no personal data.
    """

    def __init__(self, next: SpanProcessor, admit: Callable[[], bool]) -> None:
        self._next = next
        self._admit = admit
        self._lock = threading.Lock()
        self._open: dict[int, list[ReadableSpan]] = {}
        self._held = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        # What is said of the span itself goes before what is bound: an activity's queue is not its workflow's.
        said = span.attributes or {}
        span.set_attributes({name: value for name, value in context.fields().items() if name not in said})
        if span.context is not None:
            with self._lock:
                self._open[span.context.span_id] = []
        self._next.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None:
            return
        clean = _redacted(span, context.secrets())
        with self._lock:
            ready = [clean, *self._open.pop(span.context.span_id, [])]
            held = self._open.get(span.parent.span_id) if span.parent is not None else None
            if held is not None:
                if self._held < _MOST_HELD:
                    held += ready
                    self._held += 1
                else:
                    self._held -= len(ready) - 1
                    metrics.SPANS_DROPPED.add(len(ready), {"reason": "parent under way"})
                return
            self._held -= len(ready) - 1
        for one in _exported(ready):
            if self._admit():
                self._next.on_end(one)
            else:
                metrics.SPANS_DROPPED.add(1, {"reason": "too many wait"})

    def shutdown(self) -> None:
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._next.force_flush(timeout_millis)


def _exported(spans: list[ReadableSpan]) -> list[ReadableSpan]:
    """A local root and what it held: all of it, or, of a trace left out by the sampler, only what is kept."""
    root = spans[0]
    assert root.context is not None
    if root.context.trace_flags.sampled:
        return spans
    return [_sampled(span) for span in spans] if root.attributes and root.attributes.get(KEPT) else []


def _sampled(span: ReadableSpan) -> ReadableSpan:
    assert span.context is not None
    marked = SpanContext(
        span.context.trace_id, span.context.span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return _copy(span, marked, span.attributes, span.status, span.events)


def _redacted(span: ReadableSpan, secrets: Secrets) -> ReadableSpan:
    attributes = _clean(span.attributes, secrets)
    # Ours has neither events nor a description with anyone's text; a library's may.
    events = [Event(event.name, _clean(event.attributes, secrets), event.timestamp) for event in span.events]
    told = span.status.description
    status = Status(span.status.status_code, redact(told, secrets)) if told else span.status
    return _copy(span, span.context, attributes, status, events)


def _clean(attributes: Attributes, secrets: Secrets) -> Attributes:
    return {name: _clean_value(name, value, secrets) for name, value in (attributes or {}).items()}


def _clean_value(name: str, value: AttributeValue, secrets: Secrets) -> AttributeValue:
    if name in _ANYONES:
        return MASK
    if name.startswith(_OURS):
        return value
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Sequence) and any(isinstance(one, str) for one in value):
        return tuple(redact(str(one), secrets) for one in value)
    return value


def _copy(
    span: ReadableSpan, of: SpanContext | None, attributes: Attributes, status: Status, events: Sequence[Event]
) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=of,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class _Ids(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        return settled_ids.get()[0] or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return settled_ids.get()[1] or super().generate_span_id()
