"""What the code at hand is working on: bound once at an edge, then on every log line and span.

Bindings are context variables, so they end with the task (a request, an activity, a workflow) that made them.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar

from contracts.orders import Order, order_id_of
from telemetry import names
from telemetry.redaction import NO_SECRETS, Secrets

_fields: ContextVar[Mapping[str, str | int]] = ContextVar("telemetry_fields", default={})  # noqa: B039 - never changed
_secrets: ContextVar[Secrets] = ContextVar("telemetry_secrets", default=NO_SECRETS)


def bind(fields: Mapping[str, str | int]) -> None:
    """Add `fields` (named as in `telemetry.names`) to what is said from here on."""
    _fields.set({**_fields.get(), **fields})


def fields() -> Mapping[str, str | int]:
    return _fields.get()


def keep_secret(values: Iterable[str]) -> None:
    """Leave these values out of all that is said from here on."""
    _secrets.set(Secrets.of(values))


def keep_order_secret(order: Order) -> None:
    address = order.shipping_address
    keep_secret(
        [
            order.email,
            order.payment_method,
            address.name,
            address.street,
            address.city,
            address.state or "",
            address.postal_code,
        ]
    )


def order_fields(workflow_id: str) -> dict[str, str]:
    """The order that a workflow is, as a field; none for another workflow."""
    order_id = order_id_of(workflow_id)
    return {names.ORDER_ID: order_id} if order_id else {}


def secrets() -> Secrets:
    return _secrets.get()
