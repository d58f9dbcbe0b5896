"""The inventory step."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from temporalio import activity

from contracts.registry import STEPS
from contracts.steps import Receipt, StepInput
from service.settings import Settings, load
from workers.context import StepContext
from workers.inventory.stock import Stock
from workers.ledger import Ledger

_STEP = STEPS["inventory"]


class InventorySettings(Settings):
    inventory_catalogue: Path = Path(__file__).parent / "catalogue.csv"
    """CSV (sku, available) of what the stock begins with; new SKUs are taken in at each start."""


class Inventory:
    def __init__(self, ledger: Ledger, stock: Stock) -> None:
        self._ledger = ledger
        self._stock = stock

    @activity.defn(name=_STEP.activity)
    async def reserve_items(self, given: StepInput) -> Receipt:
        order = given.order
        key = self._ledger.key(order.order_id)

        async def reserve() -> Receipt:
            await self._stock.reserve(key, order.items)
            return Receipt(reference=f"res_{order.order_id}")

        return await self._ledger.once(order.order_id, reserve, lambda: self._stock.release(key))

    @activity.defn(name=_STEP.undo)
    async def release_items(self, given: StepInput) -> Receipt | None:
        order_id = given.order.order_id
        return await self._ledger.undo(order_id, lambda: self._stock.release(self._ledger.key(order_id)))


async def activities(context: StepContext) -> Sequence[Callable[..., Any]]:
    stock = Stock(context.database)
    await stock.add_new(load(InventorySettings).inventory_catalogue)
    inventory = Inventory(context.ledger(), stock)
    return [inventory.reserve_items, inventory.release_items]
