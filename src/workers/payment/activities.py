"""The payment step."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from contracts.registry import STEPS
from contracts.steps import Receipt, StepInput
from service.settings import load
from workers.context import StepContext
from workers.ledger import Ledger
from workers.payment.gateway import CardNetwork
from workers.payment.simulator import SimulatedCardNetwork
from workers.simulation import SimulatorSettings, Temper

_STEP = STEPS["payment"]


class Payment:
    def __init__(self, ledger: Ledger, network: CardNetwork) -> None:
        self._ledger = ledger
        self._network = network

    @activity.defn(name=_STEP.activity)
    async def take_payment(self, given: StepInput) -> Receipt:
        order = given.order
        key = self._ledger.key(order.order_id)

        async def charge() -> Receipt:
            charged = await self._network.charge(key, order.payment_method, order.amount_minor, order.currency)
            return Receipt(reference=charged)

        return await self._ledger.once(order.order_id, charge, lambda: self._network.refund(key))

    @activity.defn(name=_STEP.undo)
    async def refund_payment(self, given: StepInput) -> Receipt | None:
        order_id = given.order.order_id
        return await self._ledger.undo(order_id, lambda: self._network.refund(self._ledger.key(order_id)))


async def activities(context: StepContext) -> Sequence[Callable[..., Any]]:
    network = SimulatedCardNetwork(context.database, Temper(load(SimulatorSettings)))
    payment = Payment(context.ledger(), network)
    return [payment.take_payment, payment.refund_payment]
