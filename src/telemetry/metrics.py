"""Metrics: one way for all, OpenTelemetry's. Scraped at `/metrics` of each process, and pushed where OTEL_* says so."""

from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from telemetry.exporters import metric_exporter

Exposition = Callable[[str], tuple[bytes, str]]
"""From a scrape's Accept header to the content and its type."""

_meter = metrics.get_meter("orderflow")

ORDERS = _meter.create_counter("orderflow.orders", "{order}", "Orders that ended, by outcome.")
ORDER_DURATION = _meter.create_histogram("orderflow.order.duration", "s", "From being received to its end, by outcome.")
STEP_WAIT = _meter.create_histogram("orderflow.step.wait.duration", "s", "In the task queue, before each attempt.")
STEP_DURATION = _meter.create_histogram("orderflow.step.duration", "s", "One attempt in its worker, by outcome.")
RETRIES = _meter.create_counter("orderflow.step.retries", "{attempt}", "Attempts that failed and are made again.")
UNDOS = _meter.create_counter("orderflow.undos", "{undo}", "Undos that ended, by outcome.")
EFFECTS_REPEATED = _meter.create_counter(
    "orderflow.effects.repeated", "{effect}", "Executions that found their effect in the ledger and made no second."
)
LOG_LINES_DROPPED = _meter.create_counter(
    "orderflow.log.lines.dropped", "{line}", "Log lines that could not be written, or not as fast as they came."
)
SPANS_DROPPED = _meter.create_counter("orderflow.spans.dropped", "{span}", "Spans that were lost, by reason.")

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86_400)
"""Bounds of every histogram of seconds: from a database call to a worker that was away for a day."""
_OF_THE_PROCESS: dict[str, Any] = {
    "process.cpu.time": ["user", "system"],
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.open_file_descriptor.count": None,
    "process.thread.count": None,
}


class Metrics:
    """The process's meter provider."""

    def __init__(self, resource: Resource) -> None:
        self._registry = CollectorRegistry()
        self.provider = MeterProvider(
            metric_readers=self._readers(),
            resource=resource,
            views=[
                View(metrics.Histogram, instrument_unit="s", aggregation=ExplicitBucketHistogramAggregation(_SECONDS))
            ],
            shutdown_on_exit=False,
        )
        metrics.set_meter_provider(self.provider)
        SystemMetricsInstrumentor(config=_OF_THE_PROCESS).instrument()

    def _readers(self) -> Sequence[MetricReader]:
        readers: list[MetricReader] = [PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)]
        if (exporter := metric_exporter()) is not None:
            readers.append(PeriodicExportingMetricReader(exporter))
        return readers

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """What a scrape gets, and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type
