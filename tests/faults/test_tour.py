"""What becomes of an order, seen from outside: its ends, and the world's books after each."""

import email
from email.policy import default

import pytest

from tests.faults.checks import available, check_completed_once, check_undone, history, reserved, step_states
from tests.faults.conftest import BUSINESS_SKUS
from tests.support.platform import RunningPlatform


def test_completes(platform: RunningPlatform) -> None:
    """An order is paid once, reserved, shipped and confirmed by one message to its customer."""
    order_id = platform.place(email="grace@example.com")
    order = check_completed_once(platform, order_id)
    [message] = (platform.data_dir / "mail").glob(f"{order_id}-*.eml")
    mail = email.message_from_bytes(message.read_bytes(), policy=default)
    assert mail["To"] == "grace@example.com"
    tracking_number = next(step["reference"] for step in order["steps"] if step["step"] == "shipping")
    assert tracking_number in mail.get_content()


@pytest.mark.parametrize("token", ["tok_declined", "tok_insufficient_funds", "tok_expired"])
def test_declined(platform: RunningPlatform, token: str) -> None:
    """A card that is declined refuses the order at the first attempt, and nothing else is begun."""
    order_id = platform.place(payment_method=token)
    order = platform.end(order_id)
    assert order["status"] == "refused"
    assert step_states(order) == {"payment": "refused"}
    assert history(platform, order_id)["take_payment"]["attempts"] == 1
    assert platform.charges(order_id) == []
    check_undone(platform, order_id)


def test_out_of_stock(platform: RunningPlatform) -> None:
    """An order that the stock can't serve is refused, and its payment is refunded."""
    order_id = platform.place(items=[{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 4900}])
    order = platform.end(order_id)
    assert (order["status"], order["reason"]["code"]) == ("refused", "out_of_stock")
    assert step_states(order) == {"payment": "undone", "inventory": "refused"}
    assert platform.charges(order_id) == [(4900, "refunded")]
    check_undone(platform, order_id)


def test_undeliverable(platform: RunningPlatform) -> None:
    """An order to an address that the carrier refuses is refused, refunded, and its articles are back in stock."""
    before = available(platform, "KETTLE-GOOSENECK")
    items = [{"sku": "KETTLE-GOOSENECK", "quantity": 3, "unit_price_minor": 9900}]
    order_id = platform.place(items=items, postal_code="SIM-UNDELIVERABLE")
    order = platform.end(order_id)
    assert (order["status"], order["reason"]["code"]) == ("refused", "undeliverable_address")
    assert step_states(order) == {"payment": "undone", "inventory": "undone", "shipping": "refused"}
    assert platform.charges(order_id) == [(29_700, "refunded")]
    assert available(platform, "KETTLE-GOOSENECK") == before
    check_undone(platform, order_id)


def test_refund_fails(platform: RunningPlatform) -> None:
    """An order whose refund is refused ends as one that needs attention, with all else undone."""
    order_id = platform.place(payment_method="tok_refund_fails", postal_code="SIM-UNDELIVERABLE")
    order = platform.end(order_id)
    assert (order["status"], order["reason"]["code"]) == ("needs_attention", "undo_failed")
    assert step_states(order) == {"payment": "undo_failed", "inventory": "undone", "shipping": "refused"}
    assert platform.charges(order_id) == [(order["amount_minor"], "charged")]
    assert reserved(platform, order_id) == 0


def test_flaky_neighbours(platform: RunningPlatform) -> None:
    """An order whose card network and carrier fail at first completes with one charge and one parcel."""
    order_id = platform.place(payment_method="tok_flaky", postal_code="SIM-FLAKY")
    check_completed_once(platform, order_id)
    attempts = history(platform, order_id)
    assert attempts["take_payment"]["attempts"] == 3
    assert attempts["ship_order"]["attempts"] == 3


def test_business_order(platform: RunningPlatform) -> None:
    """An order of a thousand lines completes."""
    order_id = platform.place(items=[{"sku": sku, "quantity": 1, "unit_price_minor": 700} for sku in BUSINESS_SKUS])
    order = check_completed_once(platform, order_id)
    assert order["amount_minor"] == 700_000
    assert reserved(platform, order_id) == 1000
    assert {available(platform, sku) for sku in BUSINESS_SKUS} == {9}
