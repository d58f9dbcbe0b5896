"""What a process tells of itself: one call in its composition root makes its logs, traces and metrics."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import Interceptor
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    MetricBuffer,
    MetricBufferDurationFormat,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from telemetry import logs, traces
from telemetry.exporters import span_exporter
from telemetry.metrics import Metrics
from telemetry.sdk_metrics import SdkMetrics
from telemetry.temporal import Tracing

_GOODBYE_SECONDS = 5.0
"""How long what is not exported yet may keep the process from ending."""
_SDK_METRICS_WAITING = 50_000
_SDK_METRICS_EVERY = timedelta(seconds=5)
# Whoever others hang their spans below sends first, so that on arrival a span's parent is there: (how long spans may
# wait for company, how old they have to be), both in milliseconds.
_PACES = {"api": (200.0, 0.0), "order": (200.0, 350.0)}
_LAST_PACE = (1_000.0, 800.0)


class Telemetry:
    """An async context manager around all that the process does."""

    def __init__(self, service: str, data_dir: Path, log_format: logs.LogFormat = "json") -> None:
        """Begins to log at once. Raises TelemetrySettingError for an OTEL_* setting that can't be used."""
        logs.configure(service, data_dir / "logs", log_format)
        self.enabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
        self.metrics: Metrics | None = None
        self._traces: TracerProvider | None = None
        self._outbox: traces.Outbox | None = None
        self._sdk_metrics: SdkMetrics | None = None
        self._draining: asyncio.Future[None] | None = None
        if not self.enabled:
            return
        resource = Resource.create(
            {
                "service.name": service,
                "service.namespace": "orderflow",
                "service.version": logs.VERSION,
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            }
        )
        self.metrics = Metrics(resource)
        exporter = span_exporter(data_dir / "traces" / f"{service}.jsonl")
        if exporter is not None:
            delay_millis, least_age_millis = _PACES.get(service, _LAST_PACE)
            delay_millis = float(os.environ.get("OTEL_BSP_SCHEDULE_DELAY") or delay_millis)
            self._outbox = traces.Outbox(exporter, least_age_millis / 1_000)
            self._traces = traces.provider(resource, self._outbox, delay_millis)
            trace.set_tracer_provider(self._traces)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """What a scrape of this process gets, and its content type; nothing with OTEL_SDK_DISABLED."""
        return self.metrics.exposition(accept) if self.metrics else (b"", "text/plain")

    @property
    def interceptors(self) -> Sequence[Interceptor]:
        """For Temporal's client; its workers take them over. With OTEL_SDK_DISABLED they write log lines alone."""
        return [Tracing()]

    def temporal_runtime(self, heartbeat_seconds: float) -> Runtime:
        """For Temporal's client: its core's lines and metrics go where ours go. Called once, in the event loop."""
        core = LoggingConfig(
            filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
            forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
        )
        buffer = MetricBuffer(_SDK_METRICS_WAITING, MetricBufferDurationFormat.SECONDS) if self.metrics else None
        runtime = Runtime(
            telemetry=TelemetryConfig(logging=core, metrics=buffer),
            worker_heartbeat_interval=timedelta(seconds=heartbeat_seconds),
        )
        if self.metrics is not None and buffer is not None:
            self._sdk_metrics = SdkMetrics(buffer, self.metrics.provider)
            self._draining = asyncio.ensure_future(self._sdk_metrics.run(_SDK_METRICS_EVERY))
        return runtime

    async def __aenter__(self) -> "Telemetry":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sdk_metrics is not None and self._draining is not None:
            self._sdk_metrics.stop()
            await self._draining
        if self._outbox is not None:
            self._outbox.hurry()
        providers = [self._traces, self.metrics.provider if self.metrics else None]
        goodbyes = [threading.Thread(target=p.shutdown, daemon=True) for p in providers if p is not None]
        for goodbye in goodbyes:
            goodbye.start()
        for goodbye in goodbyes:
            goodbye.join(_GOODBYE_SECONDS)
