"""`orderflow queues` and `orderflow doctor` on a running platform."""

import json

import pytest

from contracts.queues import Queues
from contracts.registry import WORKERS
from tests.faults.checks import check_completed_once
from tests.faults.disturbances import stopped
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform

# What these look at is the same wherever the steps keep their effects.
pytestmark = pytest.mark.parametrize("platform", ["sqlite"], indirect=True)


def queues(platform: RunningPlatform) -> tuple[int, dict[str, str]]:
    """The command's exit status, and each queue's state by its service."""
    done = platform.run("queues", "--json", check=False)
    assert done.stdout, done.stderr
    told = Queues.model_validate_json(done.stdout)
    return done.returncode, {one.service: one.state.value for one in told.queues}


ALL_OK = (0, {service.name: "ok" for service in WORKERS})


def kinds(platform: RunningPlatform) -> list[str]:
    told = json.loads(platform.run("doctor", "--json", check=False).stdout)
    return [finding["kind"] for finding in told["findings"]]


def test_all_well(platform: RunningPlatform) -> None:
    """On a platform that is up every queue becomes ok, and the doctor finds nothing, without any TEMPORAL_* setting."""
    eventually(lambda: queues(platform), 60, is_it=lambda told: told == ALL_OK)
    # A worker that an earlier test has killed is known to the server for a while.
    told = eventually(lambda: platform.run("doctor").stdout, 90, is_it=lambda text: "5 of 5 workers" in text)
    assert "Nothing is wrong." in told
    assert f"Temporal at {platform.temporal_address}" in told


def test_a_step_nobody_serves(platform: RunningPlatform) -> None:
    """An order that waits for a stopped service is counted with its queue, and what is told to be run mends it."""
    eventually(lambda: queues(platform), 60, is_it=lambda told: told == ALL_OK)
    with stopped(platform, "shipping"):
        order_id = platform.place()
        eventually(lambda: queues(platform)[1]["shipping"], 60, is_it=lambda state: state == "orphaned")

        def shown() -> str:
            done = platform.run("queues", check=False)
            assert done.returncode == 1
            return done.stdout

        advice = "shipping: no live worker, 1 order waits. Run: orderflow start shipping"
        eventually(shown, is_it=lambda text: advice in text)
        told = platform.http.get("/queues").json()["queues"]
        assert [one["oldest_order_ids"] for one in told if one["service"] == "shipping"] == [[order_id]]
        assert kinds(platform) == ["no-worker"]
    check_completed_once(platform, order_id)
    eventually(lambda: queues(platform), 60, is_it=lambda told: told == ALL_OK)


def test_no_monitor(platform: RunningPlatform) -> None:
    """Without the monitor nothing is claimed of any queue, and both commands say what to start."""
    with stopped(platform, "monitor"):
        done = platform.run("queues", check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert "orderflow start monitor" in done.stderr
        assert kinds(platform) == ["monitor-unreachable"]
    eventually(lambda: queues(platform), 60, is_it=lambda told: told == ALL_OK)
