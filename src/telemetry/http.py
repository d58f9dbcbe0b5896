"""HTTP requests in spans. FastAPI makes a request's own span and metrics; here is what it can't know.

A request that starts an order has a root span above its own, which ends as soon as the order is accepted. The order's
spans hang below that root: the request itself may go on for a minute, waiting for the order's end, and would be a
missing parent all the while.
"""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.context import attach, detach
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry import names, spans

_root: ContextVar[trace.Span] = ContextVar("telemetry_request_root", default=trace.INVALID_SPAN)


def fastapi_telemetry(untold: frozenset[str]) -> TelemetryConfig:
    """For `FastAPI(telemetry=…)`: its spans and metrics, less those of the paths that are asked all the time."""

    def exclude(scope: MutableMapping[str, Any]) -> bool:
        return scope.get("path") in untold

    return {"operation_spans": False, "logs": False, "auto_configure": False, "exclude": exclude}


class RequestRoots:
    """ASGI middleware around the whole application. `starts_order` tells the requests that start an order."""

    def __init__(self, app: ASGIApp, starts_order: Callable[[Scope], bool]) -> None:
        self._app = app
        self._starts_order = starts_order

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        # A stranger's baggage and trace state would leave with our spans, and may say anything.
        headers = [(name, value) for name, value in scope["headers"] if name not in (b"baggage", b"tracestate")]
        scope = {**scope, "headers": headers}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and (current := spans.traceparent()):
                MutableHeaders(scope=message)["traceresponse"] = current
            await send(message)

        if not self._starts_order(scope):
            await self._app(scope, receive, answer)
            return
        parent = spans.context_of(Headers(scope=scope).get("traceparent"))
        root = spans.tracer.start_span(names.ORDER, parent)
        _root.set(root)
        below = spans.traceparent(trace.set_span_in_context(root, parent))
        if below:
            MutableHeaders(scope=scope)["traceparent"] = below
        try:
            await self._app(scope, receive, answer)
        finally:
            if root.is_recording():
                root.update_name(f"{names.ORDER} not placed")
                root.end()


@contextmanager
def order_root() -> Iterator[None]:
    """The block starts the order: its spans hang below the request's root, which ends with the block.

    When the block raises, no order was started here, and the root goes on until the request's end.
    """
    root = _root.get()
    token = attach(trace.set_span_in_context(root))
    try:
        yield
    finally:
        detach(token)
    root.end()


def about(fields: dict[str, str]) -> None:
    """Add `fields` to the spans of the request at hand."""
    for span in (trace.get_current_span(), _root.get()):
        if span.is_recording():
            span.set_attributes(fields)


def link_to(traceparent: str | None) -> None:
    """The request is about an order that another one has placed."""
    placed = trace.get_current_span(spans.context_of(traceparent)).get_span_context()
    if placed.is_valid:
        trace.get_current_span().add_link(placed)
