"""A trace as an indented text, to be compared with the one that a test expects."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from telemetry import names
from tests.support.eventually import eventually
from tests.support.otlp import Receiver, Span

ARRIVES_WITHIN_SECONDS = 20.0
"""Generous: spans are sent within a second or so of their end."""


def tree(spans: Sequence[Span], caller: str = "") -> str:
    """A span a line: its name and service, of an activity's wait and run the attempt, and how it came out.

    Siblings stand in the order of their beginnings, of two that begin at once the longer first. `caller` is the id of a
    remote parent that is not among `spans`; a span that lacks any other parent is marked.
    """
    known = {span.span_id for span in spans} | {caller, ""}
    roots = [span for span in spans if span.parent_id in (caller, "")]
    lost = [span for span in spans if span.parent_id not in known]
    return "\n".join([*_lines(spans, roots, ""), *_lines(spans, lost, "PARENT MISSING: ")])


def until_tree(receiver: Receiver, trace_id: str, expected: str, caller: str = "") -> None:
    """Returns once the trace is as expected; fails with the difference when it does not become so."""
    wanted = expected.strip()
    with suppress(AssertionError):
        eventually(
            lambda: tree(receiver.trace(trace_id), caller), ARRIVES_WITHIN_SECONDS, is_it=lambda it: it == wanted
        )
    assert tree(receiver.trace(trace_id), caller) == wanted


def until_span(receiver: Receiver, trace_id: str, name: str, service: str | None = None) -> Span:
    """The first span of this name in the trace, once it has arrived."""

    def look() -> Span | None:
        found = (span for span in receiver.trace(trace_id) if span.name == name and service in (None, span.service))
        return next(found, None)

    span = eventually(look, ARRIVES_WITHIN_SECONDS)
    assert span is not None
    return span


def lacking_parent(spans: Sequence[Span], callers: frozenset[str] = frozenset()) -> list[Span]:
    known = {(span.trace_id, span.span_id) for span in spans}
    return [
        span for span in spans if span.parent_id not in callers | {""} and (span.trace_id, span.parent_id) not in known
    ]


def _lines(spans: Sequence[Span], siblings: Sequence[Span], indent: str) -> Iterator[str]:
    for span in sorted(siblings, key=lambda span: (span.start_nanos, -span.end_nanos)):
        yield f"{indent}{_line(span)}"
        yield from _lines(spans, [child for child in spans if child.parent_id == span.span_id], indent + "  ")


def _line(span: Span) -> str:
    is_attempt = span.name.startswith((names.WAIT_ACTIVITY, names.RUN_ACTIVITY))
    attempt = f" #{span.attributes.get(names.ATTEMPT)}" if is_attempt else ""
    outcome = f" → {span.attributes[names.OUTCOME]}" if names.OUTCOME in span.attributes else ""
    reason = f" ({span.attributes[names.REASON]})" if names.REASON in span.attributes else ""
    error = " ERROR" if span.status == "ERROR" else ""
    return f"{span.name} · {span.service}{attempt}{outcome}{reason}{error}"
