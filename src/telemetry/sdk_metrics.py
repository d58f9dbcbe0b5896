"""The metrics of Temporal's SDK: from the buffer of its core to our meter provider.

The SDK has an exporter of its own, which tells sets of attributes apart by the ids of their objects. Those are freed
and used again, so it counts one set under the labels of another.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from opentelemetry.metrics import CallbackOptions, Counter, Histogram, MeterProvider, Observation
from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BUFFERED_METRIC_KIND_HISTOGRAM,
    BufferedMetric,
    MetricBuffer,
)

Attributes = Mapping[str, str | int | float | bool]
_Gauge = dict[frozenset[tuple[str, str | int | float | bool]], int | float]
"""Its last value by attributes."""


class SdkMetrics:
    """Moves what is in `buffer` to `provider` now and then. The buffer drops what comes when it is full."""

    def __init__(self, buffer: MetricBuffer, provider: MeterProvider) -> None:
        self._buffer = buffer
        self._meter = provider.get_meter("temporalio")
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, _Gauge] = {}
        self._stopped = asyncio.Event()

    async def run(self, every: timedelta) -> None:
        """Until `stop`, with a last move after it."""
        while not self._stopped.is_set():
            self.move()
            try:
                await asyncio.wait_for(self._stopped.wait(), every.total_seconds())
            except TimeoutError:
                continue
        self.move()

    def stop(self) -> None:
        self._stopped.set()

    def move(self) -> None:
        # Counters, which are most of it, are added up before: the meter takes longer over each than this does.
        sums: dict[tuple[str, frozenset[tuple[str, str | int | float | bool]]], int | float] = {}
        for update in self._buffer.retrieve_updates():
            metric = update.metric
            match metric.kind:
                case kind if kind == BUFFERED_METRIC_KIND_COUNTER:
                    if metric.name not in self._counters:
                        self._counters[metric.name] = self._meter.create_counter(*_described(metric))
                    key = (metric.name, frozenset(update.attributes.items()))
                    sums[key] = sums.get(key, 0) + update.value
                case kind if kind == BUFFERED_METRIC_KIND_HISTOGRAM:
                    if metric.name not in self._histograms:
                        self._histograms[metric.name] = self._meter.create_histogram(*_described(metric))
                    self._histograms[metric.name].record(update.value, update.attributes)
                case kind if kind == BUFFERED_METRIC_KIND_GAUGE:
                    if metric.name not in self._gauges:
                        self._gauges[metric.name] = {}
                        observe = _observations(self._gauges[metric.name])
                        self._meter.create_observable_gauge(metric.name, [observe], *_described(metric)[1:])
                    self._gauges[metric.name][frozenset(update.attributes.items())] = update.value
        for (name, attributes), amount in sums.items():
            self._counters[name].add(amount, dict(attributes))


def _described(metric: BufferedMetric) -> tuple[str, str, str]:
    return metric.name, metric.unit or "", metric.description or ""


def _observations(gauge: _Gauge) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        # A copy: readers have threads of their own.
        return [Observation(value, dict(attributes)) for attributes, value in gauge.copy().items()]

    return observe
