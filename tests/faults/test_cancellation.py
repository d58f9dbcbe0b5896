"""A cancelled order, wherever it is: everything undone, or the truth that it is too late."""

import pytest

from contracts.registry import STEPS
from tests.faults.checks import (
    available,
    cancel,
    check_completed_once,
    check_too_late,
    check_undone,
    history,
    parcels,
    step_states,
    until_begun,
    until_charged,
    until_parcel_left,
)
from tests.faults.disturbances import kill, stopped, write_locked
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform

TEAPOT = [{"sku": "TEAPOT-CAST-IRON", "quantity": 2, "unit_price_minor": 5900}]


@pytest.mark.parametrize("next_step", ["payment", "inventory", "shipping"])
def test_between_steps(platform: RunningPlatform, next_step: str) -> None:
    """Of the orders that wait for a stopped worker a cancelled one is undone at once, and the others go on later."""
    stock = available(platform, "TEAPOT-CAST-IRON")
    done = list(STEPS)[: list(STEPS).index(next_step)]
    with stopped(platform, next_step):
        order_id = platform.place(items=TEAPOT)
        waiting = platform.place(items=TEAPOT)
        for one in (order_id, waiting):
            order = platform.until(one, STEPS[next_step].status)
            assert step_states(order) == dict.fromkeys(done, "done") | {next_step: "running"}
            assert history(platform, one)[STEPS[next_step].activity]["state"] == "scheduled"
        response = cancel(platform, order_id)
        assert response.status_code == 202, response.text
        order = platform.end(order_id, within_seconds=30)
        assert order["status"] == "cancelled", order
        assert order["cancellation"]["code"] == "cancelled"
        assert step_states(order) == dict.fromkeys(done, "undone") | {next_step: "cancelled"}
        assert platform.charges(order_id) == ([(11_800, "refunded")] if "payment" in done else [])
        check_undone(platform, order_id)
    check_completed_once(platform, waiting)
    # The worker has worked through its queue by now, and left the cancelled order alone.
    check_undone(platform, order_id)
    assert available(platform, "TEAPOT-CAST-IRON") == stock - 2


def test_before_confirmation(platform: RunningPlatform) -> None:
    """An order whose parcel has left can't be cancelled while it waits to be confirmed, and completes."""
    with stopped(platform, "notification"):
        order_id = platform.place()
        platform.until(order_id, "confirming")
        check_too_late(cancel(platform, order_id))
    check_completed_once(platform, order_id)


@pytest.mark.parametrize("token", ["tok_slow", "tok_slow_answer"])
def test_inside_payment(platform: RunningPlatform, token: str) -> None:
    """An order cancelled while its card is being charged is cancelled, and the card network keeps no money of it."""
    order_id = platform.place(payment_method=token)
    if token == "tok_slow_answer":
        until_charged(platform, order_id)
    else:
        until_begun(platform, order_id, "take_payment")
    assert cancel(platform, order_id).status_code == 202
    order = platform.end(order_id)
    assert order["status"] == "cancelled", order
    assert step_states(order) == {"payment": "undone"}
    assert [state for _, state in platform.charges(order_id)] == ["refunded"]
    check_undone(platform, order_id)


def test_inside_inventory(platform: RunningPlatform) -> None:
    """An order cancelled while its items are being reserved is refunded, and the stock is as before."""
    stock = available(platform, "TEAPOT-CAST-IRON")
    with write_locked(platform, "inventory"):
        order_id = platform.place(items=TEAPOT)
        until_begun(platform, order_id, "reserve_items")
        assert cancel(platform, order_id).status_code == 202
        # The lock outlasts the cancellation's way into the activity.
        eventually(lambda: "release_items" in history(platform, order_id))
    order = platform.end(order_id)
    assert order["status"] == "cancelled", order
    assert step_states(order) == {"payment": "undone", "inventory": "undone"}
    assert platform.charges(order_id) == [(11_800, "refunded")]
    check_undone(platform, order_id)
    assert available(platform, "TEAPOT-CAST-IRON") == stock
    check_completed_once(platform, platform.place(items=TEAPOT))


def test_inside_shipping(platform: RunningPlatform) -> None:
    """An order cancelled while the carrier has not taken the parcel yet is undone, and no parcel leaves."""
    stock = available(platform, "TEAPOT-CAST-IRON")
    order_id = platform.place(items=TEAPOT, postal_code="SIM-SLOW")
    until_begun(platform, order_id, "ship_order")
    assert cancel(platform, order_id).status_code == 202
    order = platform.end(order_id)
    assert order["status"] == "cancelled", order
    assert step_states(order) == {"payment": "undone", "inventory": "undone", "shipping": "undone"}
    assert platform.charges(order_id) == [(11_800, "refunded")]
    assert [state for _, state in parcels(platform, order_id)] == ["recalled"]
    check_undone(platform, order_id)
    assert available(platform, "TEAPOT-CAST-IRON") == stock
    eventually((platform.data_dir / "mail" / f"{order_id}-outcome.eml").exists)


def test_inside_shipping_after_the_parcel_left(platform: RunningPlatform) -> None:
    """An order cancelled while the carrier's answer is still under way completes: the parcel has left."""
    order_id = platform.place(postal_code="SIM-SLOW-ANSWER")
    until_parcel_left(platform, order_id)
    assert cancel(platform, order_id).status_code == 202
    order = check_completed_once(platform, order_id)
    assert order["cancellation"]["code"] == "too_late"


def test_after_completion(platform: RunningPlatform) -> None:
    """A completed order can't be cancelled, and the refusal says why."""
    order_id = platform.place()
    check_completed_once(platform, order_id)
    check_too_late(cancel(platform, order_id))
    check_completed_once(platform, order_id)


def test_inside_confirmation(platform: RunningPlatform) -> None:
    """An order can't be cancelled while its confirmation is being sent, and completes."""
    with write_locked(platform, "notification"):
        order_id = platform.place()
        until_begun(platform, order_id, "confirm_order")
        check_too_late(cancel(platform, order_id))
    order = check_completed_once(platform, order_id)
    assert order["cancellation"] is None


def test_shipping_worker_killed(platform: RunningPlatform) -> None:
    """Money and parcel agree when the order is cancelled after its shipping worker died in mid-call."""
    pid = platform.pid("shipping")
    order_id = platform.place(postal_code="SIM-SLOW-ANSWER")
    until_parcel_left(platform, order_id)
    kill(pid)
    assert cancel(platform, order_id).status_code == 202
    # The parcel is with the carrier: only its price being kept agrees with that.
    order = check_completed_once(platform, order_id)
    assert order["cancellation"]["code"] == "too_late"


def test_cancelled_twice(platform: RunningPlatform) -> None:
    """A cancellation that is repeated, also after the order's end, is the same cancellation."""
    order_id = platform.place(payment_method="tok_slow")
    until_begun(platform, order_id, "take_payment")
    assert {cancel(platform, order_id).status_code for _ in range(2)} == {202}
    order = platform.end(order_id)
    assert order["status"] == "cancelled"
    repeated = cancel(platform, order_id)
    assert repeated.status_code == 202
    assert repeated.json()["status"] == "cancelled"
    assert history(platform, order_id)["refund_payment"]["attempts"] == 1
