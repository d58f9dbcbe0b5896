"""Placing orders and waiting for their ends, so many at once."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from temporalio.client import Client

from api.requests import EXAMPLE_ORDER
from benchmarks.bare_worker import WORKFLOW, BareOrder, queue
from contracts.orders import Status
from contracts.registry import STEPS

ORDER_SECONDS = 60
"""Within this every order has to end; the most that the API waits."""

PlaceAndWait = Callable[[], Awaitable[None]]
"""Places one order and returns at its end. Raises IncompleteOrder unless that end was completion."""


class IncompleteOrder(Exception):
    """An order that must not be counted: the measurement is void."""


async def place_orders(place: PlaceAndWait, orders: int, open_orders: int) -> list[float]:
    """Place so many `orders`, always `open_orders` at once while there are any left. Returns their times in seconds."""
    waiting = iter(range(orders))
    seconds: list[float] = []

    async def keep_one_open() -> None:
        for _ in waiting:
            began = time.perf_counter()
            await place()
            seconds.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(open_orders, orders)):
            group.create_task(keep_one_open())
    return seconds


@asynccontextmanager
async def through_api(url: str) -> AsyncIterator[PlaceAndWait]:
    """Orders as a client of the HTTP API places them."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    timeout = httpx.Timeout(ORDER_SECONDS + 10)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=timeout, trust_env=False) as client:

        async def place() -> None:
            response = await client.post("/orders", params={"wait": ORDER_SECONDS}, json=EXAMPLE_ORDER)
            if response.status_code != 200 or response.json()["status"] != Status.COMPLETED:
                raise IncompleteOrder(f"{response.status_code}: {response.text}")

        yield place


@asynccontextmanager
async def through_temporal(address: str) -> AsyncIterator[PlaceAndWait]:
    """Bare orders, begun by Temporal's own client."""
    client = await Client.connect(address)

    async def place() -> None:
        async with asyncio.timeout(ORDER_SECONDS):
            done = await client.execute_workflow(BareOrder.run, id=f"bare-{uuid.uuid4()}", task_queue=queue(WORKFLOW))
        if done != len(STEPS):
            raise IncompleteOrder(f"{done} steps done")

    yield place
