"""Orders as services hand them to each other, for tests below the HTTP API."""

from typing import Any

from api.requests import EXAMPLE_ORDER
from contracts.orders import Order


def a_contract_order(order_id: str = "01936f5e-7c1a-7d3e-9b52-3f8a6c1d2e4f", **changes: Any) -> Order:
    """The API's example order under this id; `changes` replace fields."""
    return Order.model_validate(EXAMPLE_ORDER | {"order_id": order_id} | changes)
