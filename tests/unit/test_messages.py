"""The messages to customers: nothing that a client sends can shape them beyond their text."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.orders import Reason
from contracts.steps import Outcome
from tests.support.orders import a_contract_order
from workers.notification.messages import confirmation, outcome

SENDER = "Our shop <orders@shop.example>"
ORDER_ID = "01936f5e-7c1a-7d3e-9b52-3f8a6c1d2e4f"
HEADERS = ["subject", "from", "to", "message-id", "content-type", "content-transfer-encoding", "mime-version"]

# What JSON can carry and UTF-8 can write; not what the API lets through, so that this holds by itself.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["x\r\nBcc: thief@example.com", "x\n\nBcc: thief@example.com", "\r\n.\r\nMAIL FROM:<thief@example.com>"]
)


def read_back(message: EmailMessage) -> EmailMessage:
    """As the receiver's mail program sees it."""
    parsed = message_from_bytes(bytes(message), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@given(name=texts, sku=texts, reason=texts, tracking=texts)
def test_no_text_of_a_client_becomes_a_header(name: str, sku: str, reason: str, tracking: str) -> None:
    """Whatever a name, an article, a reason or a tracking number holds, the headers are ours and the recipient one."""
    order = a_contract_order()
    order = order.model_copy(
        update={
            "shipping_address": order.shipping_address.model_copy(update={"name": name}),
            "items": [order.items[0].model_copy(update={"sku": sku})],
        }
    )
    told = Outcome(order=order, status="refused", reason=Reason(code="c", message=reason), undone=["payment"])
    for message in (confirmation(order, tracking, SENDER), outcome(told, SENDER)):
        seen = read_back(message)
        assert sorted(header.lower() for header in seen.keys()) == sorted(HEADERS)  # noqa: SIM118 - repeats count
        assert seen["To"] == order.email
        assert seen["From"] == SENDER
        assert not seen.is_multipart()


@pytest.mark.parametrize("field", ["email", "order_id"])
@pytest.mark.parametrize("injected", ["x@example.com\r\nBcc: thief@example.com", "x@example.com\nX: y", "x\r@e.com"])
def test_a_line_break_in_a_header_is_refused(field: str, injected: str) -> None:
    """Should a line break ever reach what becomes a header, no message is made at all."""
    with pytest.raises(ValueError, match=r"linefeed|carriage"):
        confirmation(a_contract_order(**{field: injected}), None, SENDER)


def test_the_confirmation_tells_what_was_bought_and_how_to_follow_it() -> None:
    """The confirmation names the articles, the total in the order's currency, the tracking number and the order."""
    order = a_contract_order(
        items=[
            {"sku": "TEA-SENCHA", "quantity": 2, "unit_price_minor": 1250},
            {"sku": "MUG-BLUE", "quantity": 1, "unit_price_minor": 999},
        ]
    )
    seen = read_back(confirmation(order, "trk_1234", SENDER))
    text = seen.get_content()
    for part in ("Ada Lovelace", "2 × TEA-SENCHA", "1 × MUG-BLUE", "34.99 EUR", "Tracking number: trk_1234", ORDER_ID):
        assert part in text
    assert ORDER_ID in seen["Subject"]
    assert "Tracking" not in read_back(confirmation(order, None, SENDER)).get_content()


@pytest.mark.parametrize(
    ("status", "undone", "parts"),
    [
        ("refused", [], ["could not accept"]),
        ("refused", ["payment"], ["could not accept", "refunded"]),
        ("cancelled", ["payment", "inventory", "shipping"], ["cancelled", "refunded", "released", "called back"]),
        ("failed", ["payment"], ["in time", "refunded"]),
        ("needs_attention", ["inventory"], ["looking after", "released"]),
    ],
)
def test_the_outcome_tells_what_happened_and_what_was_undone(status: str, undone: list[str], parts: list[str]) -> None:
    """A customer whose order ended otherwise learns why, and only of what was really undone."""
    reason = Reason(code="out_of_stock", message="Article MUG-BLUE is out of stock in that quantity.")
    told = Outcome(order=a_contract_order(), status=status, reason=reason, undone=undone)
    text = read_back(outcome(told, SENDER)).get_content()
    assert reason.message in text
    assert all(part in text for part in parts)
    for step, words in (("payment", "refunded"), ("inventory", "released"), ("shipping", "called back")):
        assert (words in text) == (step in undone)


def test_a_repeated_message_is_known_by_its_id() -> None:
    """The same message made again has the same Message-ID; another kind, and another order, have another."""
    other_id = ORDER_ID.replace("4f", "50")
    told = Outcome(order=a_contract_order(), status="failed", reason=Reason(code="c", message="m"), undone=[])
    made = [
        confirmation(a_contract_order(), "trk_1", SENDER),
        confirmation(a_contract_order(), "trk_1", SENDER),
        outcome(told, SENDER),
        confirmation(a_contract_order(other_id), "trk_1", SENDER),
    ]
    first, again, another_kind, another_order = (str(read_back(message)["Message-ID"]) for message in made)
    assert first == again == f"<{ORDER_ID}.confirmation@shop.example>"
    assert len({first, another_kind, another_order}) == 3
