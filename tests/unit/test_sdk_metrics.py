"""The metrics of Temporal's SDK on their way to ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BUFFERED_METRIC_KIND_HISTOGRAM,
    BufferedMetricKind,
    MetricBuffer,
)

from telemetry.sdk_metrics import SdkMetrics


@dataclass
class Metric:
    name: str
    kind: BufferedMetricKind
    unit: str | None = None
    description: str | None = None


@dataclass
class Update:
    metric: Metric
    value: float
    attributes: Mapping[str, str]


class Buffer:
    def __init__(self) -> None:
        self.updates: list[Update] = []

    def retrieve_updates(self) -> list[Update]:
        updates, self.updates = self.updates, []
        return updates


class Bench:
    def __init__(self) -> None:
        self.buffer = Buffer()
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self._metrics = SdkMetrics(cast(MetricBuffer, self.buffer), self._provider)

    def tell(self, metric: Metric, value: float, **attributes: str) -> None:
        self.buffer.updates.append(Update(metric, value, attributes))

    def told(self) -> dict[tuple[str, str], Any]:
        """The data points by metric and queue."""
        self._metrics.move()
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            (metric.name, str((point.attributes or {})["queue"])): point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_counters(bench: Bench) -> None:
    """What is counted is added up by its attributes, over all moves."""
    requests = Metric("requests", BUFFERED_METRIC_KIND_COUNTER)
    for _ in range(2):
        bench.tell(requests, 1, queue="payment")
        bench.tell(requests, 2, queue="payment")
        bench.tell(requests, 5, queue="order")
        told = bench.told()
    assert told["requests", "payment"].value == 6
    assert told["requests", "order"].value == 10


def test_gauges(bench: Bench) -> None:
    """A gauge has its last value, one for each set of attributes however often that comes as a new object."""
    slots = Metric("slots", BUFFERED_METRIC_KIND_GAUGE)
    for value in range(100):
        bench.tell(slots, value, queue="payment")
        bench.tell(slots, -value, queue="order")
        told = bench.told()
    assert told["slots", "payment"].value == 99
    assert told["slots", "order"].value == -99
    assert len(told) == 2


def test_histograms(bench: Bench) -> None:
    """Every duration is recorded, with its own attributes."""
    latency = Metric("latency", BUFFERED_METRIC_KIND_HISTOGRAM, unit="s")
    for number in range(100):
        bench.tell(latency, number, queue="payment" if number % 4 else "order")
    told = bench.told()
    assert (told["latency", "payment"].count, told["latency", "order"].count) == (75, 25)


def test_attributes_are_told_apart_by_what_they_say(bench: Bench) -> None:
    """Attributes that are freed, and whose memory the next ones get, do not lend those their labels."""
    requests = Metric("requests", BUFFERED_METRIC_KIND_COUNTER)
    for number in range(200):
        bench.tell(requests, 1, queue=str(number))
        told = bench.told()
    assert len(told) == 200
    assert {point.value for point in told.values()} == {1}
