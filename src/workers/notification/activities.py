"""The notification step, and the message to the customer of an order that ended otherwise."""

from collections.abc import Callable, Sequence
from email.message import EmailMessage
from typing import Any

from temporalio import activity

from contracts.registry import STEPS
from contracts.steps import TELL_CUSTOMER, Outcome, Receipt, StepInput
from service.settings import load
from workers.context import StepContext
from workers.ledger import Ledger
from workers.notification import messages
from workers.notification.gateway import Mailer, MailSettings, mailer

_STEP = STEPS["notification"]


class Notification:
    def __init__(self, confirmations: Ledger, outcomes: Ledger, mail: Mailer, sender: str) -> None:
        self._confirmations = confirmations
        self._outcomes = outcomes
        self._mail = mail
        self._sender = sender

    @activity.defn(name=_STEP.activity)
    async def confirm_order(self, given: StepInput) -> Receipt:
        order = given.order
        message = messages.confirmation(order, given.receipts.get("shipping"), self._sender)
        return await self._send_once(self._confirmations, order.order_id, "confirmation", message)

    @activity.defn(name=TELL_CUSTOMER)
    async def tell_customer(self, told: Outcome) -> Receipt:
        message = messages.outcome(told, self._sender)
        return await self._send_once(self._outcomes, told.order.order_id, "outcome", message)

    async def _send_once(self, ledger: Ledger, order_id: str, kind: str, message: EmailMessage) -> Receipt:
        async def send() -> Receipt:
            await self._mail.send(f"{order_id}-{kind}", message)
            return Receipt(reference=str(message["Message-ID"]).strip("<>"))

        async def nothing() -> None:
            """A message that has gone out stays out."""

        return await ledger.once(order_id, send, nothing)


async def activities(context: StepContext) -> Sequence[Callable[..., Any]]:
    settings = load(MailSettings)
    notification = Notification(
        context.ledger(), context.ledger("outcome"), mailer(settings, context.data_dir), settings.mail_from
    )
    return [notification.confirm_order, notification.tell_customer]
