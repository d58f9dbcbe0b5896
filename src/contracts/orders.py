"""An order, and what is known of its progress.

These are the shapes that travel between services. What a client may send is checked once, at the edge
(`api.requests`), so nothing here repeats those rules.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A value that crosses a process boundary: frozen, and tolerant of fields a newer sender added."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Item(Record):
    sku: str
    quantity: int
    unit_price_minor: int


class Address(Record):
    """`country` is ISO 3166-1 alpha-2."""

    name: str
    street: str
    city: str
    state: str | None = None
    postal_code: str
    country: str


class Order(Record):
    """What a customer ordered. `payment_method` is a token, never a card number; `currency` is ISO 4217."""

    order_id: str
    customer_id: str
    items: list[Item]
    currency: str
    payment_method: str
    shipping_address: Address
    email: str

    @property
    def amount_minor(self) -> int:
        """The total in the currency's minor unit (cents for EUR): computed here, never sent by a client."""
        return sum(item.quantity * item.unit_price_minor for item in self.items)

    @property
    def pieces(self) -> int:
        return sum(item.quantity for item in self.items)


class Status(StrEnum):
    """Where an order is, apart from the step it is in: each step's own word comes from the registry."""

    RECEIVED = "received"
    UNDOING = "undoing"
    COMPLETED = "completed"
    REFUSED = "refused"
    """A business refusal; all undone."""
    CANCELLED = "cancelled"
    """The customer's wish; all undone."""
    FAILED = "failed"
    """Time ran out; all undone."""
    NEEDS_ATTENTION = "needs_attention"
    """Something could not be undone: a person has to look."""


ENDS = frozenset({Status.COMPLETED, Status.REFUSED, Status.CANCELLED, Status.FAILED, Status.NEEDS_ATTENTION})


class StepState(StrEnum):
    RUNNING = "running"
    """Handed to its task queue; whether a worker took it is in the order's history."""
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Called off before it had an effect, or with its effect unknown until its undo ran."""
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"


class StepProgress(Record):
    """One step of one order. `reference` is what the outside world calls the effect (a charge, a parcel)."""

    step: str
    state: StepState
    reference: str | None = None
    started_at: datetime
    ended_at: datetime | None = None


class Reason(Record):
    """Why an order did not simply complete: `code` for programs, `message` for people; no personal data in either."""

    code: str
    message: str


class OrderProgress(Record):
    """All that can be told of an order without personal data: the workflow's query and its result."""

    order_id: str
    customer_id: str
    status: str
    currency: str
    amount_minor: int
    received_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    steps: list[StepProgress] = []
    """In the order in which they began."""
    reason: Reason | None = None
    cancellable: bool = True
    """Whether a cancellation would still be heeded: not once the parcel has left or the order has ended."""
    cancellation: Reason | None = None
    """Set once a cancellation was asked for: what became of it."""


class OrderInput(Record):
    """What starts the order workflow.

    `step_timeout_seconds` bounds each step from being scheduled to its end, waits and retries included, so that
    an order outlives a worker that is down for hours.
    """

    order: Order
    step_timeout_seconds: int = 86_400


WORKFLOW_TYPE = "OrderWorkflow"
PROGRESS_QUERY = "progress"


_PREFIX = "order-"


def workflow_id(order_id: str) -> str:
    return f"{_PREFIX}{order_id}"


def order_id_of(workflow_id: str) -> str | None:
    """None for a workflow that is no order."""
    return workflow_id.removeprefix(_PREFIX) if workflow_id.startswith(_PREFIX) else None
