"""The command line against a running platform, and its refusals."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from contracts.registry import BY_NAME
from tests.faults.checks import check_completed_once
from tests.faults.disturbances import frozen
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform, an_order
from tests.support.ports import free_health_offset, free_port

# What these look at is the same wherever the steps keep their effects.
pytestmark = pytest.mark.parametrize("platform", ["sqlite"], indirect=True)
PORTS = ("ORDERFLOW_API_PORT", "ORDERFLOW_TEMPORAL_PORT", "ORDERFLOW_TEMPORAL_HTTP_PORT", "ORDERFLOW_TEMPORAL_UI_PORT")


@pytest.fixture
def elsewhere(platform: RunningPlatform, tmp_path: Path) -> Iterator[RunningPlatform]:
    """A platform of another folder and other ports that is not up, and must not come up."""
    ports = {setting: str(free_port()) for setting in PORTS}
    ports["ORDERFLOW_HEALTH_PORT_OFFSET"] = str(free_health_offset())
    other = RunningPlatform(
        tmp_path / "data", platform.environment | ports | {"ORDERFLOW_DATA_DIR": str(tmp_path / "data")}
    )
    yield other
    other.http.close()
    if other.data_dir.exists():
        other.run("down")
        pytest.fail("something was started all the same")


def refusal(platform: RunningPlatform, *arguments: str) -> str:
    """The one line in which a command that must be refused says why."""
    done = platform.run(*arguments, check=False)
    assert done.returncode != 0
    [line] = (done.stdout + done.stderr).splitlines()
    return line


def test_status(platform: RunningPlatform) -> None:
    """`orderflow status --json` has each service with its process, state, task queue and health URL, and no more."""
    found = platform.status()
    assert list(found) == ["temporal", *BY_NAME]
    for name, status in found.items():
        assert set(status) == {"service", "pid", "state", "task_queue", "health_url"}
        assert status["state"] == "running"
        assert status["task_queue"] == (BY_NAME[name].task_queue if name in BY_NAME else None)
        assert platform.http.get(status["health_url"]).status_code == 200
    assert len({status["pid"] for status in found.values()}) == len(found)


def test_start_of_a_service_that_hangs(platform: RunningPlatform) -> None:
    """`orderflow start` of a service whose process is there and does nothing puts another in its place."""
    hung = platform.pid("notification")
    eventually(lambda: psutil.Process(hung).create_time() < time.time() - 31, 40)  # Until then it counts as starting.
    os.kill(hung, signal.SIGSTOP)
    try:
        assert "stopped first" in platform.run("start", "notification").stdout
    finally:
        with suppress(ProcessLookupError):
            os.kill(hung, signal.SIGCONT)
    status = platform.status()["notification"]
    assert status["state"] == "running"
    assert status["pid"] != hung
    check_completed_once(platform, platform.place())


def test_up_twice(platform: RunningPlatform) -> None:
    """`orderflow up` where the platform is up already says so in one line and changes nothing."""
    before = platform.status()
    assert "already up" in refusal(platform, "up", "--detach")
    assert platform.status() == before


@pytest.mark.parametrize("setting", ["ORDERFLOW_API_PORT", "ORDERFLOW_TEMPORAL_PORT"])
def test_port_in_use(elsewhere: RunningPlatform, setting: str) -> None:
    """`orderflow up` on a port that is in use names the port and the setting that changes it, in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        elsewhere.environment[setting] = port
        line = refusal(elsewhere, "up", "--detach")
    assert port in line
    assert setting in line


def test_health_port_in_use(elsewhere: RunningPlatform) -> None:
    """`orderflow up` names the setting that moves the workers' health ports when one of them is in use."""
    port = BY_NAME["shipping"].port + int(elsewhere.environment["ORDERFLOW_HEALTH_PORT_OFFSET"])
    with socket.create_server(("127.0.0.1", port)):
        line = refusal(elsewhere, "up", "--detach")
    assert str(port) in line
    assert "ORDERFLOW_HEALTH_PORT_OFFSET" in line


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("ORDERFLOW_API_PORT", "abc", "ORDERFLOW_API_PORT"),
        ("ORDERFLOW_API_HOST", "0.0.0.0", "ORDERFLOW_API_KEYS"),
        ("ORDERFLOW_API_KEYS", "not-a-digest", "ORDERFLOW_API_KEYS"),
    ],
)
def test_wrong_setting(elsewhere: RunningPlatform, setting: str, value: str, named: str) -> None:
    """`orderflow up` with a setting that can't be used names it in one line."""
    elsewhere.environment[setting] = value
    assert named in refusal(elsewhere, "up", "--detach")


def test_orders(platform: RunningPlatform, tmp_path: Path) -> None:
    """`orderflow order` submits, shows, lists and cancels orders."""
    customer = "c-command-line"
    file = tmp_path / "order.json"
    file.write_text(json.dumps(an_order(customer_id=customer)))
    submitted = json.loads(platform.run("order", "submit", str(file), "--wait", "60", "--json").stdout)
    assert submitted["status"] == "completed"
    order_id = submitted["order_id"]
    check_completed_once(platform, order_id)

    shown = json.loads(platform.run("order", "show", order_id, "--json").stdout)
    assert shown["status"] == "completed"
    assert [step["attempts"] for step in shown["history"]] == [1, 1, 1, 1]
    for_people = platform.run("order", "show", order_id).stdout
    assert "completed" in for_people
    assert "ship_order" in for_people

    def listed() -> list[str]:
        page = platform.run("order", "list", "--customer", customer, "--status", "completed", "--json").stdout
        return [order["order_id"] for order in json.loads(page)["orders"]]

    assert eventually(listed) == [order_id]
    assert "409" in refusal(platform, "order", "cancel", order_id)


def test_order_cancelled(platform: RunningPlatform) -> None:
    """`orderflow order cancel` waits for the end and shows an order of which everything is undone."""
    submit = ("order", "submit", "--payment-method", "tok_network_down", "--json")
    order_id = json.loads(platform.run(*submit).stdout)["order_id"]
    cancelled = json.loads(platform.run("order", "cancel", order_id, "--wait", "60", "--json").stdout)
    assert (cancelled["order_id"], cancelled["status"]) == (order_id, "cancelled")
    assert [(step["step"], step["state"]) for step in cancelled["steps"]] == [("payment", "undone")]


def test_frozen_worker(platform: RunningPlatform) -> None:
    """A worker that is alive and does nothing is not called running, and is again once it works again."""
    with frozen(platform, "payment"):
        order_id = platform.place()
        eventually(lambda: platform.status()["payment"]["state"], is_it=lambda state: state != "running")
    check_completed_once(platform, order_id)
    eventually(lambda: platform.status()["payment"]["state"], is_it=lambda state: state == "running")
