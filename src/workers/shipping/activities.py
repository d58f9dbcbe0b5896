"""The shipping step."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from contracts.registry import STEPS
from contracts.steps import Receipt, StepInput
from service.settings import load
from workers.context import StepContext
from workers.ledger import Ledger
from workers.shipping.gateway import Carrier
from workers.shipping.simulator import SimulatedCarrier
from workers.simulation import SimulatorSettings, Temper

_STEP = STEPS["shipping"]


class Shipping:
    def __init__(self, ledger: Ledger, carrier: Carrier) -> None:
        self._ledger = ledger
        self._carrier = carrier

    @activity.defn(name=_STEP.activity)
    async def ship_order(self, given: StepInput) -> Receipt:
        order = given.order
        key = self._ledger.key(order.order_id)

        async def ship() -> Receipt:
            return Receipt(reference=await self._carrier.ship(key, order.shipping_address, order.pieces))

        return await self._ledger.once(order.order_id, ship, lambda: self._recall(order.order_id))

    @activity.defn(name=_STEP.undo)
    async def recall_parcel(self, given: StepInput) -> Receipt | None:
        order_id = given.order.order_id
        return await self._ledger.undo(order_id, lambda: self._recall(order_id))

    async def _recall(self, order_id: str) -> Receipt | None:
        tracking_number = await self._carrier.recall(self._ledger.key(order_id))
        return Receipt(reference=tracking_number) if tracking_number else None


async def activities(context: StepContext) -> Sequence[Callable[..., Any]]:
    carrier = SimulatedCarrier(context.database, Temper(load(SimulatorSettings)))
    shipping = Shipping(context.ledger(), carrier)
    return [shipping.ship_order, shipping.recall_parcel]
