"""Temporal itself gone, with orders under way."""

import time

from tests.faults.checks import check_completed_once, until_begun
from tests.faults.disturbances import kill, stopped
from tests.support.platform import RunningPlatform, an_order


def orders_under_way(platform: RunningPlatform) -> list[str]:
    """Some orders that are inside their slow step, and some that nobody has looked at yet."""
    paying = [platform.place(payment_method=token) for token in ("tok_slow", "tok_slow_answer")]
    shipping = [platform.place(postal_code=code) for code in ("SIM-SLOW", "SIM-SLOW-ANSWER")]
    for order_id in paying:
        until_begun(platform, order_id, "take_payment")
    for order_id in shipping:
        until_begun(platform, order_id, "ship_order")
    return paying + shipping + [platform.place() for _ in range(4)]


def test_killed(platform: RunningPlatform) -> None:
    """Temporal killed under running orders loses none of them and repeats nothing."""
    pid = platform.pid("temporal")
    orders = orders_under_way(platform)
    kill(pid)
    for order_id in orders:
        check_completed_once(platform, order_id, within_seconds=90)


def test_stopped(platform: RunningPlatform) -> None:
    """While Temporal is down the API says so within five seconds; after its start all orders complete, each once."""
    orders = orders_under_way(platform)
    with stopped(platform, "temporal"):
        asked_at = time.monotonic()
        refused = platform.http.post("/orders", json=an_order())
        assert time.monotonic() - asked_at < 5
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["Retry-After"]) > 0
        readiness = platform.http.get("/readyz")
        assert readiness.status_code == 503
        assert readiness.json()["status"] == "unready"
        assert platform.http.get("/healthz").status_code == 200
    orders.append(platform.place())
    for order_id in orders:
        check_completed_once(platform, order_id, within_seconds=90)
