"""Where spans and metrics go: OTLP as the standard OTEL_* settings say, or a file in the data folder.

Exporters are imported where they are chosen: gRPC alone is 20 MB of memory.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, format_span_id, format_trace_id

from telemetry.errors import TelemetrySettingError

_FILE_BYTES = 50_000_000

Signal = Literal["TRACES", "METRICS"]


def span_exporter(file: Path) -> SpanExporter | None:
    """As OTEL_TRACES_EXPORTER says; to `file` where neither it nor an OTLP endpoint is set."""
    match _chosen("TRACES", "file"):
        case "otlp":
            if _protocol("TRACES") == "grpc":
                from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
                    OTLPSpanExporter as Grpc,
                )

                return Grpc()
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

            return OTLPSpanExporter()
        case "file":
            return FileSpanExporter(file)
        case _:
            return None


def metric_exporter() -> MetricExporter | None:
    """As OTEL_METRICS_EXPORTER says; none where neither it nor an OTLP endpoint is set."""
    if _chosen("METRICS", "none") != "otlp":
        return None
    if _protocol("METRICS") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415
            OTLPMetricExporter as Grpc,
        )

        return Grpc()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    return OTLPMetricExporter()


def _chosen(signal: Signal, otherwise: str) -> str:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return "none"
    setting = f"OTEL_{signal}_EXPORTER"
    chosen = os.environ.get(setting)
    if chosen:
        # Metrics are always there to be scraped, so "prometheus" needs no exporter.
        if chosen not in ("otlp", "none", "file", "prometheus"):
            raise TelemetrySettingError(f"{setting}: {chosen!r} is not one of otlp, none")
        return chosen
    endpoint = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
    return "otlp" if os.environ.get(endpoint) or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") else otherwise


def _protocol(signal: Signal) -> str:
    setting = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
    # The specification's own default is the last.
    protocol = os.environ.get(setting) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol not in ("grpc", "http/protobuf"):
        raise TelemetrySettingError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} is not one of grpc, http/protobuf")
    return protocol


class FileSpanExporter(SpanExporter):
    """OTLP in its JSON form, a request a line, as a collector's file exporter writes and its file receiver reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._file.exists() and self._file.stat().st_size > _FILE_BYTES:
            self._file.replace(self._file.with_suffix(".1.jsonl"))
        with self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(_request(spans), separators=(",", ":")) + "\n")
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


def _request(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    resource = {"attributes": _attributes(spans[0].resource.attributes)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [_span(span) for span in spans]}]}]}


def _span(span: ReadableSpan) -> dict[str, Any]:
    assert span.context is not None
    return {
        **_ids(span.context),
        "parentSpanId": format_span_id(span.parent.span_id) if span.parent else "",
        "name": span.name,
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes or {}),
        "events": [
            {
                "timeUnixNano": str(event.timestamp),
                "name": event.name,
                "attributes": _attributes(event.attributes or {}),
            }
            for event in span.events
        ],
        "links": [_link(link) for link in span.links],
        "status": {"code": span.status.status_code.value, "message": span.status.description or ""},
    }


def _link(link: Link) -> dict[str, Any]:
    return {**_ids(link.context), "attributes": _attributes(link.attributes or {})}


def _ids(context: SpanContext) -> dict[str, str]:
    return {"traceId": format_trace_id(context.trace_id), "spanId": format_span_id(context.span_id)}


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(inner) for inner in value]}}
        case _:
            return {"stringValue": str(value)}
