"""The messages to customers. Pure: from an order to an e-mail."""

from email.message import EmailMessage
from email.utils import parseaddr

from contracts.money import readable
from contracts.orders import Order
from contracts.steps import Outcome

_WHAT_HAPPENED = {
    "refused": "We could not accept your order.",
    "cancelled": "Your order was cancelled, as you wished.",
    "failed": "We could not complete your order in time.",
    "needs_attention": "There is a problem with your order, and one of us is looking after it.",
}
_WHAT_WAS_UNDONE = {
    "payment": "Your payment was refunded.",
    "inventory": "The reserved articles were released.",
    "shipping": "The parcel was called back.",
}


def confirmation(order: Order, tracking_number: str | None, sender: str) -> EmailMessage:
    lines = [f"{item.quantity} × {item.sku}" for item in order.items]
    tracking = f"\nTracking number: {tracking_number}\n" if tracking_number else ""
    text = (
        f"Dear {order.shipping_address.name},\n\nyour order is on its way:\n\n"
        + "\n".join(lines)
        + f"\n\nTotal: {readable(order.amount_minor, order.currency)}\n{tracking}"
    )
    return _message(order, "confirmation", f"Your order {order.order_id} has been shipped", text, sender)


def outcome(told: Outcome, sender: str) -> EmailMessage:
    order = told.order
    paragraphs = [_WHAT_HAPPENED.get(told.status, "Your order was not completed."), told.reason.message]
    paragraphs += [_WHAT_WAS_UNDONE[step] for step in reversed(told.undone) if step in _WHAT_WAS_UNDONE]
    text = f"Dear {order.shipping_address.name},\n\n" + "\n".join(paragraphs) + "\n"
    return _message(order, "outcome", f"Your order {order.order_id}: {told.status}", text, sender)


def _message(order: Order, kind: str, subject: str, text: str, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = sender
    message["To"] = order.email
    # The same for a repeated sending, so that mail systems can drop the second.
    domain = parseaddr(sender)[1].rpartition("@")[2] or "orderflow.example"
    message["Message-ID"] = f"<{order.order_id}.{kind}@{domain}>"
    message.set_content(text + f"\nOrder {order.order_id}\n")
    return message
