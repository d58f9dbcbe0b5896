"""Each worker killed with work in its hands."""

from tests.faults.checks import check_completed_once, history, until_begun, until_charged, until_parcel_left
from tests.faults.disturbances import kill, stopped, write_locked
from tests.support.platform import RunningPlatform


def test_payment_worker_killed(platform: RunningPlatform) -> None:
    """A payment worker killed between the charge and its answer leaves an order that completes with one charge."""
    pid = platform.pid("payment")
    order_id = platform.place(payment_method="tok_slow_answer")
    until_charged(platform, order_id)
    assert platform.effect("payment", order_id) == "pending"
    kill(pid)
    check_completed_once(platform, order_id)
    assert history(platform, order_id)["take_payment"]["attempts"] == 2


def test_inventory_worker_killed(platform: RunningPlatform) -> None:
    """An inventory worker killed while its database is locked leaves an order that completes, reserved once."""
    pid = platform.pid("inventory")
    with write_locked(platform, "inventory"):
        order_id = platform.place()
        until_begun(platform, order_id, "reserve_items")
        kill(pid)
    check_completed_once(platform, order_id)
    assert history(platform, order_id)["reserve_items"]["attempts"] >= 2


def test_shipping_worker_killed(platform: RunningPlatform) -> None:
    """A shipping worker killed between the parcel's leaving and the answer leaves an order with one parcel."""
    pid = platform.pid("shipping")
    order_id = platform.place(postal_code="SIM-SLOW-ANSWER")
    until_parcel_left(platform, order_id)
    assert platform.effect("shipping", order_id) == "pending"
    kill(pid)
    check_completed_once(platform, order_id)
    assert history(platform, order_id)["ship_order"]["attempts"] == 2


def test_order_worker_killed(platform: RunningPlatform) -> None:
    """An order worker killed in the middle of many orders loses none of them and repeats nothing."""
    pid = platform.pid("order")
    slow = [platform.place(payment_method="tok_slow"), platform.place(postal_code="SIM-SLOW")]
    until_begun(platform, slow[0], "take_payment")
    until_begun(platform, slow[1], "ship_order")
    quick = [platform.place() for _ in range(10)]
    kill(pid)
    for order_id in slow + quick:
        check_completed_once(platform, order_id)


def test_stopped_gracefully(platform: RunningPlatform) -> None:
    """A payment worker that is stopped finishes the payment in its hands: one attempt, and the order goes on."""
    order_id = platform.place(payment_method="tok_slow_answer")
    until_charged(platform, order_id)
    with stopped(platform, "payment"):
        assert platform.effect("payment", order_id) == "done"
    check_completed_once(platform, order_id)
    assert history(platform, order_id)["take_payment"]["attempts"] == 1
