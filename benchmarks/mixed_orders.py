"""Orders of all kinds at a steady pace: most go well, some are refused, flaky, slow or cancelled."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from api.requests import EXAMPLE_ORDER
from benchmarks.load import ORDER_SECONDS
from contracts.orders import ENDS, Status

_MOST_OPEN = 100
_END_SECONDS = 180.0
"""Within this every order has to end, restarts or not."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is put into an order in place of the example's, and how it may end."""

    ends: frozenset[str]
    payment_method: str = "tok_visa"
    postal_code: str = "SW1Y 4JH"
    sku: str = "TEA-EARL-GREY"
    cancelled: bool = False
    """Whether it is cancelled within its first seconds."""

    def body(self) -> dict[str, Any]:
        address = EXAMPLE_ORDER["shipping_address"] | {"postal_code": self.postal_code}
        items = [EXAMPLE_ORDER["items"][0] | {"sku": self.sku}]
        changes = {"payment_method": self.payment_method, "shipping_address": address, "items": items}
        return EXAMPLE_ORDER | changes


_COMPLETED = frozenset({Status.COMPLETED.value})
_REFUSED = frozenset({Status.REFUSED.value})
_EITHER = frozenset({Status.CANCELLED.value, Status.COMPLETED.value})
"""Cancelled in time or not."""

KINDS: Sequence[Kind] = (
    *[Kind(_COMPLETED)] * 9,
    Kind(_REFUSED, payment_method="tok_declined"),
    Kind(_REFUSED, sku="SOLD-OUT"),
    Kind(_REFUSED, postal_code="SIM-UNDELIVERABLE"),
    Kind(_COMPLETED, payment_method="tok_flaky"),
    Kind(_COMPLETED, postal_code="SIM-FLAKY"),
    Kind(_COMPLETED, payment_method="tok_slow"),
    Kind(_COMPLETED, payment_method="tok_slow_answer"),
    Kind(_COMPLETED, postal_code="SIM-SLOW"),
    Kind(_COMPLETED, postal_code="SIM-SLOW-ANSWER"),
    Kind(_EITHER, postal_code="SIM-SLOW", cancelled=True),
    Kind(_EITHER, cancelled=True),
)


class MixedOrders:
    """Places orders of every kind in turn, and keeps count of their ends."""

    def __init__(self, url: str, orders_per_second: float) -> None:
        self._url = url
        self._pause_seconds = 1 / orders_per_second
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []
        """What did not go as it has to: an answer, or an end."""

    async def run(self, seconds: float) -> None:
        """Place orders for so long, and wait for the end of each."""
        limits = httpx.Limits(max_connections=None)
        timeout = httpx.Timeout(ORDER_SECONDS + 10)
        async with (
            httpx.AsyncClient(base_url=self._url, limits=limits, timeout=timeout, trust_env=False) as http,
            asyncio.TaskGroup() as group,
        ):
            until = time.monotonic() + seconds
            turns = asyncio.Semaphore(_MOST_OPEN)
            for kind in itertools.cycle(KINDS):
                await turns.acquire()
                if time.monotonic() >= until:
                    return
                group.create_task(self._one(http, kind)).add_done_callback(lambda _: turns.release())
                await asyncio.sleep(self._pause_seconds)

    async def _one(self, http: httpx.AsyncClient, kind: Kind) -> None:
        try:
            async with asyncio.timeout(_END_SECONDS):
                end = await _end(http, kind)
        except (httpx.HTTPError, TimeoutError) as error:
            self.wrong.append(f"{kind}: {error!r}")
            return
        self.ends[end] += 1
        if end not in kind.ends:
            self.wrong.append(f"{kind}: {end}")


async def _end(http: httpx.AsyncClient, kind: Kind) -> str:
    """Place one, and cancel it if it is to be. Returns its last status. Raises httpx.HTTPError."""
    placed = await http.post("/orders", params={} if kind.cancelled else {"wait": ORDER_SECONDS}, json=kind.body())
    order = placed.raise_for_status().json()
    order_id = order["order_id"]
    if kind.cancelled:
        await asyncio.sleep(random.uniform(0, 3))
        answer = await http.post(f"/orders/{order_id}/cancel")
        if answer.status_code != 409:  # The parcel has left.
            answer.raise_for_status()
    while order.get("status") not in ENDS:
        await asyncio.sleep(1)
        order = (await http.get(f"/orders/{order_id}")).raise_for_status().json()
    return str(order["status"])
