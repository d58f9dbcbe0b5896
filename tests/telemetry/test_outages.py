"""A telemetry back end that is gone, or worse than gone, and a log that can't be written: orders do not notice."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.faults.disturbances import stopped
from tests.support.eventually import eventually
from tests.support.order_lines import COMPLETED, all_lines, events
from tests.support.platform import RunningPlatform, an_order, running_platform
from tests.support.ports import free_port
from tests.support.telemetry_back_end import hanging_back_end, recording_back_end


def complete_many(platform: RunningPlatform) -> list[str]:
    """Thirty orders, ten open at a time, which must all complete; their ids."""

    def complete(_: int) -> str:
        answer = platform.http.post("/orders", params={"wait": 60}, json=an_order())
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "completed", answer.text
        return str(answer.json()["order_id"])

    with ThreadPoolExecutor(10) as pool:
        return list(pool.map(complete, range(30)))


def check_told(platform: RunningPlatform, orders: list[str], expected: Counter[str] = COMPLETED) -> None:
    """Of each order each of these events is in the files, once."""

    def not_told() -> list[str]:
        lines = all_lines(platform.data_dir)
        return [order for order in orders if events([x for x in lines if x.get("order.id") == order]) != expected]

    eventually(not_told, is_it=lambda missing: not missing)


def check_ended_gracefully(platform: RunningPlatform) -> None:
    """Every process that was told to stop has stopped by itself, in its time."""
    log = (platform.data_dir / "logs" / "supervisord.log").read_text()
    assert "stopped: payment (exit status 0)" in log
    # Temporal's own server is killed at leisure: its files need no goodbye.
    assert [line for line in log.splitlines() if "killing" in line and "'temporal'" not in line] == []


@pytest.fixture(scope="module")
def port() -> int:
    """Where the back end is, if it is there."""
    return free_port()


@pytest.fixture(scope="module")
def platform(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with running_platform(
        tmp_path_factory.mktemp("outages"),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_METRIC_EXPORT_INTERVAL="1000",
    ) as running:
        yield running


def outage(kind: str, port: int) -> AbstractContextManager[object]:
    match kind:
        case "hangs":
            return hanging_back_end(port)
        case "is slow":
            return recording_back_end(port, delay_seconds=5)
        case "answers 500":
            return recording_back_end(port, answer=500)
        case _:
            return nullcontext()


@pytest.mark.parametrize("kind", ["is absent", "hangs", "is slow", "answers 500"])
def test_orders_complete_whatever_the_back_end_does(platform: RunningPlatform, port: int, kind: str) -> None:
    """Orders complete, all their lines are in the files, and processes stop and start as ever."""
    with outage(kind, port):
        orders = complete_many(platform)
        for service in ("payment", "api"):
            with stopped(platform, service):
                pass
        check_told(platform, [*orders, *complete_many(platform)])
    check_ended_gracefully(platform)


def test_a_back_end_that_comes_back_is_told(platform: RunningPlatform, port: int) -> None:
    """Once the back end is there again the spans and metrics of what happens then arrive."""
    with recording_back_end(port) as back_end:
        orders = complete_many(platform)
        eventually(lambda: all(order.encode() in back_end.bodies("/v1/traces") for order in orders))
        eventually(lambda: b"orderflow.orders" in back_end.bodies("/v1/metrics"))


def test_taken_down_with_a_hanging_back_end_and_a_full_disk(tmp_path: Path) -> None:
    """With gRPC to a back end that hangs, and a log on a full disk, orders complete and all ends gracefully.

    The full disk costs the lines of that service's file, and no others; none of them is printed elsewhere.
    """
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "payment.jsonl").symlink_to("/dev/full")
    with hanging_back_end() as url:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        with running_platform(tmp_path, **settings) as platform:
            others = Counter({event: 1 for event in COMPLETED if "take_payment" not in event})
            check_told(platform, complete_many(platform), others)
        check_ended_gracefully(platform)
    assert (tmp_path / "logs" / "payment.stderr.log").read_text() == ""
