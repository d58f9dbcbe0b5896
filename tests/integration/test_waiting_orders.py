"""The orders that wait for a queue, as a real Temporal server knows them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from contracts.orders import WORKFLOW_TYPE, workflow_id
from contracts.registry import service
from contracts.search import ORDER_STATUS
from monitor.waiting import WaitingOrders
from tests.support.eventually import eventually_async
from tests.support.temporal import temporal_server


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with temporal_server() as client:
        yield client


async def begin(client: Client, order_ids: list[str], status: str) -> None:
    """Orders that are running and that no worker serves."""
    for order_id in order_ids:
        attributes = TypedSearchAttributes([SearchAttributePair(ORDER_STATUS, status)])
        await client.start_workflow(
            WORKFLOW_TYPE, id=workflow_id(order_id), task_queue="nobody", search_attributes=attributes
        )


@pytest.mark.parametrize("count", [3, 12, 230])
async def test_the_oldest_ten_of_few_and_of_many(client: Client, count: int) -> None:
    """However many wait, they are counted and the ten that began first are named, the oldest first."""
    order_ids = [f"order-id-{number:03}" for number in range(count)]
    await begin(client, order_ids, "shipping")
    await begin(client, ["elsewhere"], "paying")
    shipping, order = service("shipping"), service("order")

    async def counts() -> dict[str, int]:
        found = await WaitingOrders(client).of([shipping, order])
        return {name: waiting.orders for name, waiting in found.items()}

    await eventually_async(counts, is_it=lambda found: found == {"shipping": count, "order": count + 1})
    found = (await WaitingOrders(client).of([shipping]))["shipping"]
    assert [order_id for order_id, _ in found.oldest] == order_ids[:10]
    starts = [start for _, start in found.oldest]
    assert starts == sorted(starts)


async def test_orders_that_take_too_long(client: Client) -> None:
    """Running orders older than a given age are counted, younger ones not."""
    await begin(client, ["a", "b"], "shipping")
    waiting = WaitingOrders(client)
    await eventually_async(lambda: waiting.older_than(timedelta(seconds=1)), is_it=lambda count: count == 2)
    assert await waiting.older_than(timedelta(hours=1)) == 0


async def test_a_server_that_is_gone(client: Client) -> None:
    """Without an answer nothing is claimed: the service is left out."""
    gone = await Client.connect("127.0.0.1:1", lazy=True)
    assert await WaitingOrders(gone).of([service("shipping")]) == {}
