"""Many requests at once: one order for one key, and not one piece sold twice."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import httpx

from contracts.orders import ENDS
from tests.faults.checks import available, check_completed_once
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform, an_order


async def post_all(
    platform: RunningPlatform, orders: list[tuple[dict[str, Any], dict[str, str]]]
) -> list[httpx.Response]:
    """POST all of these (order, headers) at once, each on a connection of its own."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=platform.url, timeout=60, limits=limits, trust_env=False) as client:
        return await asyncio.gather(*(client.post("/orders", json=order, headers=headers) for order, headers in orders))


async def test_one_key(platform: RunningPlatform) -> None:
    """Fifty equal requests with one Idempotency-Key, all at once, make one order with one charge."""
    key = {"Idempotency-Key": f"key-{uuid.uuid4()}"}
    customer = f"c-{uuid.uuid4()}"
    answers = await post_all(platform, [(an_order(customer_id=customer), key)] * 50)
    assert {answer.status_code for answer in answers} == {202}
    [order_id] = {answer.json()["order_id"] for answer in answers}
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in answers) == 49
    check_completed_once(platform, order_id)
    listed = platform.http.get("/orders", params={"customer_id": customer}).json()["orders"]
    assert [order["order_id"] for order in listed] == [order_id]

    changed = platform.http.post("/orders", json=an_order(customer_id=customer, currency="USD"), headers=key)
    assert changed.status_code == 422
    assert changed.headers["content-type"] == "application/problem+json"
    assert changed.json()["type"] == "urn:orderflow:problem:idempotency-key-reused"


async def test_limited_edition(platform: RunningPlatform) -> None:
    """Of two hundred orders at once for the hundred pieces there are, a hundred complete and a hundred are refused."""
    items = [{"sku": "LIMITED-EDITION", "quantity": 1, "unit_price_minor": 19_900}]
    customer = f"c-{uuid.uuid4()}"
    answers = await post_all(platform, [(an_order(customer_id=customer, items=items), {})] * 200)
    assert Counter(answer.status_code for answer in answers) == {202: 200}
    ids = {answer.json()["order_id"] for answer in answers}
    assert len(ids) == 200

    def listed() -> list[dict[str, Any]]:
        found = platform.http.get("/orders", params={"customer_id": customer, "limit": 200}).json()["orders"]
        assert {order["order_id"] for order in found} == ids
        return list(found)

    ended = eventually(listed, 150, is_it=lambda orders: all(order["status"] in ENDS for order in orders))
    assert Counter(order["status"] for order in ended) == {"completed": 100, "refused": 100}
    for order in ended:
        if order["status"] == "refused":
            assert platform.order(order["order_id"])["reason"]["code"] == "out_of_stock"
            assert platform.charges(order["order_id"]) == [(19_900, "refunded")]
        else:
            assert platform.charges(order["order_id"]) == [(19_900, "charged")]
    assert available(platform, "LIMITED-EDITION") == 0
    held = platform.rows("inventory", "SELECT SUM(quantity) FROM reservations WHERE sku = 'LIMITED-EDITION'")
    assert held == [(100,)]
