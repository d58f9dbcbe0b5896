"""What the API answers while no order worker runs."""

import time
from typing import Any

from tests.faults.checks import cancel, check_completed_once, check_too_late, step_states
from tests.faults.disturbances import stopped, write_locked
from tests.support.platform import RunningPlatform


def order_within_two_seconds(platform: RunningPlatform, order_id: str) -> dict[str, Any]:
    asked_at = time.monotonic()
    order = platform.order(order_id)
    assert time.monotonic() - asked_at < 2
    return order


def test_order_worker_stopped(platform: RunningPlatform) -> None:
    """Without an order worker orders are taken, ended ones told in full and running ones as last known, promptly."""
    ended = platform.place()
    in_full = check_completed_once(platform, ended)
    assert in_full["as_of"] == "now"
    with write_locked(platform, "notification"):
        left = platform.place()
        platform.until(left, "confirming")
        with write_locked(platform, "shipping"):
            running = platform.place()
            before = platform.until(running, "shipping")
            with stopped(platform, "order"):
                assert order_within_two_seconds(platform, ended) == in_full
                for _ in range(4):
                    order = order_within_two_seconds(platform, running)
                    assert (order["status"], order["as_of"]) == ("shipping", "last_known")
                assert step_states(order) == step_states(before)
                assert (order["currency"], order["amount_minor"]) == (before["currency"], before["amount_minor"])
                fresh = platform.place()
                order = order_within_two_seconds(platform, fresh)
                assert (order["status"], order["as_of"]) == ("received", "last_known")
                check_too_late(cancel(platform, left))
    for order_id in (left, running, fresh):
        check_completed_once(platform, order_id)
