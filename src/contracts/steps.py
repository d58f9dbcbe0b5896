"""The signatures that every step shares.

A step's activity takes a `StepInput` and returns a `Receipt`, or raises `contracts.errors.Refusal` having had no
effect. Its undo takes the same `StepInput` and returns None once nothing of the effect is left, also when there
never was any; or the `Receipt` of an effect that is final; or raises `Refusal` when it can't be undone.
"""

from contracts.orders import Order, Reason, Record

TELL_CUSTOMER = "tell_customer"
"""The notification worker's second activity, by which a customer learns of an order that did not complete."""


class StepInput(Record):
    """`receipts` holds the references of the steps already done, by step name."""

    order: Order
    receipts: dict[str, str] = {}


class Receipt(Record):
    """Proof of an effect: what the outside world calls it. A repeated execution gives the first receipt again."""

    reference: str


class Outcome(Record):
    """What the customer is told when an order ends without being completed. `undone` names the undone steps."""

    order: Order
    status: str
    reason: Reason
    undone: list[str]
