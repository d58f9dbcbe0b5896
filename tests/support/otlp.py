"""An OTLP receiver for tests, over real HTTP and real gRPC: it keeps what arrives, in the order of arrival."""

import gzip
import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.serving import serving

Transport = Literal["http", "grpc"]
Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the root of a trace."""
    name: str
    service: str
    kind: str
    start_nanos: int
    end_nanos: int
    attributes: Attributes
    status: str
    links: tuple[tuple[str, str], ...]
    """Trace id and span id of each."""
    arrival: int
    """The place among all requests of the one that brought it: what comes in one request comes at once."""
    transport: Transport


@dataclass(frozen=True, slots=True)
class Point:
    """One data point of a metric: the value so far, of a histogram the number of recordings."""

    service: str
    pid: int
    metric: str
    attributes: Attributes
    value: float


class Receiver:
    """What arrived at `http_endpoint` and `grpc_endpoint`."""

    def __init__(self, http_port: int, grpc_port: int) -> None:
        self.http_endpoint = f"http://127.0.0.1:{http_port}"
        self.grpc_endpoint = f"http://127.0.0.1:{grpc_port}"
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._points: list[Point] = []
        self._requests = itertools.count()
        self._last_arrival = time.monotonic()

    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans() if span.trace_id == trace_id]

    def points(self, pid: int, metric: str) -> list[Point]:
        """The data points of a process's metric, of every export so far."""
        with self._lock:
            return [point for point in self._points if (point.pid, point.metric) == (pid, metric)]

    def quiet_seconds(self) -> float:
        """How long no span has arrived."""
        with self._lock:
            return time.monotonic() - self._last_arrival

    def take_spans(self, request: ExportTraceServiceRequest, transport: Transport) -> None:
        with self._lock:
            arrival = next(self._requests)
            self._last_arrival = time.monotonic()
            for group in request.resource_spans:
                service = _attributes(group.resource.attributes)["service.name"]
                for scope in group.scope_spans:
                    self._spans += (_span(span, service, arrival, transport) for span in scope.spans)

    def take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        with self._lock:
            for group in request.resource_metrics:
                resource = _attributes(group.resource.attributes)
                for scope in group.scope_metrics:
                    for metric in scope.metrics:
                        self._points += _points(metric, resource)


@contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """A receiver on two free ports of this machine."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _HttpHandler)
    server = grpc.server(ThreadPoolExecutor(4))
    receiver = Receiver(http.server_port, server.add_insecure_port("127.0.0.1:0"))
    http.receiver = receiver  # type: ignore[attr-defined]
    add_TraceServiceServicer_to_server(_GrpcTraces(receiver), server)  # type: ignore[no-untyped-call]
    add_MetricsServiceServicer_to_server(_GrpcMetrics(receiver), server)  # type: ignore[no-untyped-call]
    server.start()
    try:
        with serving(http):
            yield receiver
    finally:
        server.stop(grace=None).wait()


class _HttpHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.headers["Content-Type"] != "application/x-protobuf":
            self.send_error(415)
            return
        match self.path:
            case "/v1/traces":
                receiver.take_spans(ExportTraceServiceRequest.FromString(body), "http")
            case "/v1/metrics":
                receiver.take_metrics(ExportMetricsServiceRequest.FromString(body))
            case _:
                self.send_error(404)
                return
        # Both responses are empty messages, which is no bytes at all.
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class _GrpcTraces(TraceServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request: ExportTraceServiceRequest, context: object) -> ExportTraceServiceResponse:  # noqa: N802
        self._receiver.take_spans(request, "grpc")
        return ExportTraceServiceResponse()


class _GrpcMetrics(MetricsServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request: ExportMetricsServiceRequest, context: object) -> ExportMetricsServiceResponse:  # noqa: N802
        self._receiver.take_metrics(request)
        return ExportMetricsServiceResponse()


def _span(span: trace_pb2.Span, service: str, arrival: int, transport: Transport) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        service=service,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start_nanos=span.start_time_unix_nano,
        end_nanos=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        arrival=arrival,
        transport=transport,
    )


def _points(metric: Any, resource: Attributes) -> Iterator[Point]:
    service, pid = resource["service.name"], int(resource["service.instance.id"].rpartition(":")[2])
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        value = point.count if kind.endswith("histogram") else getattr(point, point.WhichOneof("value"))
        yield Point(service, pid, metric.name, _attributes(point.attributes), float(value))


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
