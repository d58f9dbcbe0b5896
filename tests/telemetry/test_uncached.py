"""An order worker that keeps nothing in memory replays an order for each of its steps: its trace is the same.

This platform sends over gRPC.
"""

from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.otlp import Receiver
from tests.support.platform import RunningPlatform, running_platform
from tests.support.services import VISITED
from tests.telemetry.test_traces import CANCELLED_IN_PAYMENT, COMPLETED, DECLINED, cancelled_in_payment
from tests.telemetry.trees import until_tree


@pytest.fixture(scope="module")
def uncached(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    settings = {
        "ORDERFLOW_MAX_CACHED_WORKFLOWS": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }
    with running_platform(tmp_path_factory.mktemp("uncached") / "data", **settings) as running:
        yield running


def test_completed(uncached: RunningPlatform, receiver: Receiver) -> None:
    """A completed order's trace is the same, though the workflow was replayed for each step."""
    order = uncached.end(uncached.place())
    until_tree(receiver, order["trace_id"], COMPLETED)


def test_declined(uncached: RunningPlatform, receiver: Receiver) -> None:
    """A declined order's trace is the same, though the workflow was replayed for each step."""
    order = uncached.end(uncached.place(payment_method="tok_declined"))
    until_tree(receiver, order["trace_id"], DECLINED)


def test_cancelled(uncached: RunningPlatform, receiver: Receiver) -> None:
    """A cancelled order's trace is the same, though the workflow was replayed for each step."""
    order = uncached.end(cancelled_in_payment(uncached))
    until_tree(receiver, order["trace_id"], CANCELLED_IN_PAYMENT)


def test_replays(uncached: RunningPlatform, receiver: Receiver) -> None:
    """This order worker really finds nothing in its cache, or the tests above would prove nothing."""
    uncached.end(uncached.place())
    pid = uncached.pid("order")
    eventually(lambda: receiver.points(pid, "temporal_workflow_completed"))
    assert receiver.points(pid, "temporal_sticky_cache_hit") == []


def test_grpc(uncached: RunningPlatform, receiver: Receiver) -> None:
    """Spans and metrics of every service go by gRPC where the settings say so."""
    order = uncached.end(uncached.place())
    until_tree(receiver, order["trace_id"], COMPLETED)
    spans = receiver.trace(order["trace_id"])
    assert {(span.service, span.transport) for span in spans} == {(service.name, "grpc") for service in VISITED}
    pids = [uncached.pid(service.name) for service in VISITED]
    eventually(lambda: all(receiver.points(pid, "process.cpu.time") for pid in pids))
