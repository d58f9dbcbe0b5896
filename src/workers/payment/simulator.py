"""A simulated card network with magic tokens, in the manner of a payment company's test cards.

It keeps its own book, apart from the ledger, as the real one would: that is how a test can tell that a card was
charged once. The tokens are in the README.
"""

import sqlalchemy as sa
from sqlalchemy import Connection

from contracts.errors import Refusal
from workers.database import Database, insert_new
from workers.simulation import OutsideUnavailable, Temper, reference

_DECLINES = {
    "tok_declined": ("card_declined", "The card was declined."),
    "tok_insufficient_funds": ("insufficient_funds", "The card has insufficient funds."),
    "tok_expired": ("card_expired", "The card has expired."),
}

charges = sa.Table(
    "simulated_charges",
    sa.MetaData(),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("token", sa.String(64), nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
)


class SimulatedCardNetwork:
    def __init__(self, database: Database, temper: Temper) -> None:
        self._database = database
        self._temper = temper

    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> str:
        if token in _DECLINES:
            raise Refusal(*_DECLINES[token])
        match token:
            case "tok_network_down":
                raise OutsideUnavailable("simulated: the card network does not answer")
            case "tok_flaky":
                self._temper.fail_at_first(key)
            case "tok_slow":
                await self._temper.be_slow()
        charge = {"key": key, "token": token, "amount_minor": amount_minor, "currency": currency, "state": "charged"}
        await self._database.transaction(lambda connection: _charge(connection, charge), "charge")
        if token == "tok_slow_answer":  # Charged, but the answer takes its time: the worst moment to die.
            await self._temper.be_slow()
        return reference("ch", key)

    async def refund(self, key: str) -> None:
        await self._database.transaction(lambda connection: _refund(connection, key), "refund")


def _charge(connection: Connection, charge: dict[str, object]) -> None:
    connection.execute(insert_new(connection, charges), charge)
    if connection.scalar(sa.select(charges.c.state).where(charges.c.key == charge["key"])) == "refunded":
        raise Refusal("charge_refused", "The charge was refunded and can't be made again.")


def _refund(connection: Connection, key: str) -> None:
    nothing = {"key": key, "token": "", "amount_minor": 0, "currency": "", "state": "refunded"}
    connection.execute(insert_new(connection, charges), nothing)
    if connection.scalar(sa.select(charges.c.token).where(charges.c.key == key)) == "tok_refund_fails":
        raise Refusal("refund_refused", "The card network refused the refund.")
    connection.execute(charges.update().where(charges.c.key == key).values(state="refunded"))
