"""`orderflow logs` on a running platform."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.support.eventually import eventually
from tests.support.platform import ORDERFLOW, RunningPlatform, running_platform
from tests.support.services import VISITED


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with running_platform(tmp_path_factory.mktemp("logs") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def order_id(platform: RunningPlatform) -> str:
    """An order that was retried and has completed."""
    order_id = platform.place(payment_method="tok_flaky")
    platform.until(order_id, "completed")
    return order_id


@contextmanager
def following(platform: RunningPlatform, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`orderflow logs --follow` and the lines it has written so far."""
    command = [str(ORDERFLOW), "logs", "--follow", *arguments]
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)  # noqa: PERF402 - each is seen as it comes

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=platform.environment) as process:
        reader = Thread(target=read)
        reader.start()
        try:
            yield process, lines
        finally:
            process.kill()
            reader.join()


def read_until(platform: RunningPlatform, order_id: str, words: str) -> list[str]:
    """The order's lines for people, once one has these words: a line is in its file a moment after its event."""

    def look() -> list[str]:
        return platform.run("logs", order_id).stdout.splitlines()

    return eventually(look, is_it=lambda lines: words in "\n".join(lines))


def test_an_order_s_story(platform: RunningPlatform, order_id: str) -> None:
    """`orderflow logs ORDER_ID` tells what became of the order, from all services, in the order of time, uncoloured."""
    day, *lines = read_until(platform, order_id, "order completed")
    assert day.endswith("(UTC)")
    assert lines == sorted(lines)
    told = [line.split(maxsplit=3)[1:] for line in lines]
    assert told[0] == ["api", "INFO", "order received"]
    assert told[-1] == ["order", "INFO", "order completed"]
    assert {service for service, *_ in told} == {service.name for service in VISITED}
    assert ["payment", "INFO", "take_payment started attempt=3"] in told
    assert sum(level == "WARN" for _, level, _ in told) == 2
    assert "\x1b" not in "".join(lines)


def test_json(platform: RunningPlatform, order_id: str) -> None:
    """`--json` gives the lines as they are in the files, and `--service` only those of the services that are named."""
    read_until(platform, order_id, "order completed")
    asked = ("logs", order_id, "--json", "--service", "payment", "--service", "order")
    lines = platform.run(*asked).stdout.splitlines()
    assert {json.loads(line)["order.id"] for line in lines} == {order_id}
    assert {json.loads(line)["service.name"] for line in lines} == {"payment", "order"}
    in_files = [
        line
        for service in ("payment", "order")
        for line in (platform.data_dir / "logs" / f"{service}.jsonl").read_text().splitlines()
        if order_id in line
    ]
    assert sorted(lines) == sorted(in_files)


def test_all_orders(platform: RunningPlatform, order_id: str) -> None:
    """Without an order's id all lines are there, and each says which order it is of."""
    read_until(platform, order_id, "order completed")
    lines = platform.run("logs").stdout
    assert f"order completed order={order_id}" in lines
    assert "polling" in lines


def test_unknown_order(platform: RunningPlatform) -> None:
    """An order that no line is of is told in one line, and the exit code is 1."""
    done = platform.run("logs", "00000000-0000-7000-8000-000000000000", check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "00000000-0000-7000-8000-000000000000" in line


def test_no_logs(tmp_path: Path) -> None:
    """Where no platform has ever run, one line says so and names the setting; the exit code is 1."""
    nowhere = os.environ | {"ORDERFLOW_DATA_DIR": str(tmp_path / "none")}
    done = subprocess.run([str(ORDERFLOW), "logs"], capture_output=True, text=True, env=nowhere, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "ORDERFLOW_DATA_DIR" in line


def test_follow(platform: RunningPlatform, order_id: str) -> None:
    """`--follow` goes on with new lines of all services, until Ctrl-C, which is no error."""
    with following(platform) as (process, lines):
        eventually(lambda: any(order_id in line for line in lines))
        fresh = platform.place()
        eventually(lambda: f"order completed order={fresh}" in "".join(lines))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert sum(f"order received order={fresh}" in line for line in lines) == 1


def test_follow_into_a_closed_pipe(platform: RunningPlatform, order_id: str) -> None:
    """`--follow` ends, quietly, when nobody reads any more, even while nothing is written."""
    command = [str(ORDERFLOW), "logs", order_id, "--follow"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=platform.environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
