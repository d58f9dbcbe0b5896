"""What the outside world holds of an order in the end: its money, its stock, its parcel and its mail."""

from typing import Any

import httpx

from contracts.registry import STEPS
from tests.support.eventually import eventually
from tests.support.platform import Orders


def parcels(platform: Orders, order_id: str) -> list[tuple[Any, ...]]:
    """The simulated carrier's own book on this order: (pieces, state)."""
    return platform.rows("shipping", "SELECT pieces, state FROM simulated_parcels WHERE key LIKE ?", f"{order_id}:%")


def reserved(platform: Orders, order_id: str) -> int:
    """How many pieces the order holds of the stock."""
    query = "SELECT COALESCE(SUM(quantity), 0) FROM reservations WHERE key LIKE ?"
    return int(platform.rows("inventory", query, f"{order_id}:%")[0][0])


def available(platform: Orders, sku: str) -> int:
    return int(platform.rows("inventory", "SELECT available FROM stock WHERE sku = ?", sku)[0][0])


def step_states(order: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["state"] for step in order["steps"]}


def history(platform: Orders, order_id: str) -> dict[str, dict[str, Any]]:
    """Each activity of the order, by name."""
    response = platform.http.get(f"/orders/{order_id}/history")
    assert response.status_code == 200, response.text
    return {step["activity"]: step for step in response.json()["steps"]}


def until_begun(platform: Orders, order_id: str, activity: str) -> None:
    """Returns once a worker has this activity in its hands."""
    eventually(lambda: history(platform, order_id).get(activity, {}).get("state"), is_it=lambda it: it == "started")


def until_charged(platform: Orders, order_id: str) -> None:
    """Returns once the card network has taken the money, whether or not it has said so."""
    eventually(lambda: platform.charges(order_id), is_it=lambda charges: [state for _, state in charges] == ["charged"])


def until_parcel_left(platform: Orders, order_id: str) -> None:
    """Returns once the carrier has the parcel, whether or not it has said so."""
    eventually(lambda: parcels(platform, order_id), is_it=lambda found: [state for _, state in found] == ["left"])


def cancel(platform: Orders, order_id: str) -> httpx.Response:
    return platform.http.post(f"/orders/{order_id}/cancel")


def check_too_late(response: httpx.Response) -> None:
    """The answer to a cancellation is a problem that says why: the parcel has left."""
    assert response.status_code == 409, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:orderflow:problem:too-late-to-cancel"
    assert "parcel has left" in problem["detail"]


def check_completed_once(platform: Orders, order_id: str, within_seconds: float = 60) -> dict[str, Any]:
    """The order completes, having had each of its effects exactly once."""
    order = platform.end(order_id, within_seconds)
    assert order["status"] == "completed", order
    assert step_states(order) == dict.fromkeys(STEPS, "done")
    assert {step: platform.effect(step, order_id) for step in STEPS} == dict.fromkeys(STEPS, "done")
    assert platform.charges(order_id) == [(order["amount_minor"], "charged")]
    [(pieces, state)] = parcels(platform, order_id)
    assert state == "left"
    assert pieces == reserved(platform, order_id)
    return order


def check_undone(platform: Orders, order_id: str) -> None:
    """The order holds nothing of the outside world any more: no money, no stock, no parcel."""
    assert all(state == "refunded" for _, state in platform.charges(order_id))
    assert all(state == "recalled" for _, state in parcels(platform, order_id))
    assert reserved(platform, order_id) == 0
    assert platform.effect("notification", order_id) is None
    for step in STEPS:
        assert platform.effect(step, order_id) in (None, "undone", "refused"), step
