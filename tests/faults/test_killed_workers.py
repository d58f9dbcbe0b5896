"""Each worker killed with work in its hands, or stopped as an operator stops it."""

import pytest

from contracts.registry import STEPS
from tests.faults.checks import check_completed_once, history, until_begun, until_charged, until_parcel_left
from tests.faults.disturbances import kill, stopped, write_locked
from tests.support.platform import RunningPlatform


@pytest.fixture(scope="module")
def orders_of_the_killed(platform: RunningPlatform) -> dict[str, str]:
    """By step, an order that was in the hands of the step's worker when it was killed.

    All are killed before the first order is looked at, so that the wait for the heartbeats is the same one for all.
    """
    pids = {service: status["pid"] for service, status in platform.status().items()}
    # The worst moment: the outside has done it, and nobody has heard so.
    shipping = platform.place(postal_code="SIM-SLOW-ANSWER")
    until_parcel_left(platform, shipping)
    kill(pids["shipping"])
    assert platform.effect("shipping", shipping) == "pending"

    # Its outside is its own database, so it is held up by that.
    with write_locked(platform, "inventory"):
        inventory = platform.place()
        until_begun(platform, inventory, "reserve_items")
        kill(pids["inventory"])

    payment = platform.place(payment_method="tok_slow_answer")
    until_charged(platform, payment)
    kill(pids["payment"])
    assert platform.effect("payment", payment) == "pending"
    return {"shipping": shipping, "inventory": inventory, "payment": payment}


@pytest.mark.parametrize("step", ["payment", "inventory", "shipping"])
def test_step_worker_killed(platform: RunningPlatform, orders_of_the_killed: dict[str, str], step: str) -> None:
    """A worker killed in mid-activity leaves an order that another attempt completes, with one effect in each book."""
    order_id = orders_of_the_killed[step]
    check_completed_once(platform, order_id)
    assert history(platform, order_id)[STEPS[step].activity]["attempts"] > 1


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
