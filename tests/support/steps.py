"""Steps that do as a test tells them, on the real ledger, for the real workflow on a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine import URL
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.errors import Refusal
from contracts.orders import Address, Item, Order, workflow_id
from contracts.registry import STEPS, Step, task_queue
from contracts.steps import TELL_CUSTOMER, Outcome, Receipt, StepInput
from workers.database import open_database
from workers.heartbeat import Heartbeats
from workers.ledger import Ledger
from workers.migration import migrate
from workflow.hold import hold_step
from workflow.order import OrderWorkflow

Behaviour = Literal["does it", "refuses", "fails once", "fails always", "does it but never answers"]
Undoing = Literal["undoes it", "refuses"]
Moment = Literal["before", "during", "after"]


@dataclass
class Script:
    """What happens to one order. `cancel_in` is the step in which, and when, its customer cancels."""

    steps: dict[str, Behaviour] = field(default_factory=dict)
    undos: dict[str, Undoing] = field(default_factory=dict)
    cancel_in: tuple[str, Moment] | None = None


class World:
    """The outside of all steps: which effects stand, for which order. It refuses what was reverted, as it must."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.stands: set[tuple[str, str]] = set()
        self.reverted: set[tuple[str, str]] = set()
        self.told: list[tuple[str, str]] = []

    def effects(self, order_id: str) -> set[str]:
        return {step for order, step in self.stands if order == order_id}


class ScriptedStep:
    """One step's activities, by a script for each order."""

    def __init__(self, step: Step, world: World, ledger: Ledger, client: Client) -> None:
        self._step = step
        self._world = world
        self._ledger = ledger
        self._client = client

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name=self._step.activity)
        async def act(given: StepInput) -> Receipt:
            return await self._act(given)

        @activity.defn(name=self._step.undo or f"no_undo_of_{self._step.name}")
        async def undo(given: StepInput) -> Receipt | None:
            return await self._undo(given)

        @activity.defn(name=TELL_CUSTOMER)
        async def tell(told: Outcome) -> Receipt:
            self._world.told.append((told.order.order_id, told.status))
            return Receipt(reference="told")

        return [act, undo, tell]

    async def _act(self, given: StepInput) -> Receipt:
        order_id = given.order.order_id
        script = self._world.scripts[order_id]
        behaviour = script.steps.get(self._step.name, "does it")
        moment = script.cancel_in[1] if script.cancel_in and script.cancel_in[0] == self._step.name else None

        async def effect() -> Receipt:
            if moment in ("before", "during") and activity.info().attempt == 1:
                await self._client.get_workflow_handle(workflow_id(order_id)).cancel()
                if moment == "during":
                    await asyncio.Event().wait()  # Until the cancellation gets here.
            if behaviour == "refuses" or (order_id, self._step.name) in self._world.reverted:
                raise Refusal("scripted", f"{self._step.name} refuses")
            if behaviour == "fails always" or (behaviour == "fails once" and activity.info().attempt == 1):
                raise RuntimeError("scripted fault")
            self._world.stands.add((order_id, self._step.name))
            if moment == "after" and activity.info().attempt == 1:
                await self._client.get_workflow_handle(workflow_id(order_id)).cancel()
            if behaviour == "does it but never answers":
                raise RuntimeError("scripted fault after the effect")
            return Receipt(reference=f"{self._step.name}-{order_id}")

        return await self._ledger.once(order_id, effect, lambda: self._revert(order_id))

    async def _undo(self, given: StepInput) -> Receipt | None:
        order_id = given.order.order_id
        if self._world.scripts[order_id].undos.get(self._step.name) == "refuses":
            raise Refusal("scripted", f"{self._step.name} can't be undone")
        return await self._ledger.undo(order_id, lambda: self._revert(order_id))

    async def _revert(self, order_id: str) -> Receipt | None:
        if self._step.name == "shipping" and (order_id, "shipping") in self._world.stands:
            return Receipt(reference=f"shipping-{order_id}")  # The parcel has left.
        self._world.stands.discard((order_id, self._step.name))
        self._world.reverted.add((order_id, self._step.name))
        return None


@asynccontextmanager
async def scripted_workers(client: Client, world: World, folder: Path) -> AsyncIterator[None]:
    """The order worker and every step's worker, in this process."""
    url = URL.create("sqlite", database=str(folder / "ledger.db"))
    database = open_database(url)
    await migrate("scripted", database)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        runner = UnsandboxedWorkflowRunner()
        await stack.enter_async_context(
            Worker(
                client,
                task_queue=task_queue("order"),
                workflows=[OrderWorkflow],
                activities=[hold_step],
                workflow_runner=runner,
                # Every workflow task replays the order from its beginning: what is not deterministic shows at once.
                max_cached_workflows=0,
            )
        )
        for step in STEPS.values():
            scripted = ScriptedStep(step, world, Ledger(database, step.name), client)
            await stack.enter_async_context(
                Worker(
                    client,
                    task_queue=task_queue(step.name),
                    activities=scripted.activities(),
                    interceptors=[Heartbeats()],
                    max_heartbeat_throttle_interval=timedelta(milliseconds=200),
                    default_heartbeat_throttle_interval=timedelta(milliseconds=200),
                )
            )
        yield


def an_order(order_id: str) -> Order:
    address = Address(name="Ada", street="1 Street", city="London", postal_code="SW1Y 4JH", country="GB")
    return Order(
        order_id=order_id,
        customer_id="c-1",
        items=[Item(sku="TEA-SENCHA", quantity=2, unit_price_minor=1250)],
        currency="EUR",
        payment_method="tok_visa",
        shipping_address=address,
        email="ada@example.com",
    )
