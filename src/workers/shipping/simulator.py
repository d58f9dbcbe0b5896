"""A simulated carrier with magic postal codes; they are in the README. It keeps its own book, apart from the ledger."""

import sqlalchemy as sa
from sqlalchemy import Connection

from contracts.errors import Refusal
from contracts.orders import Address
from workers.database import Database, insert_new
from workers.simulation import OutsideUnavailable, Temper, reference

parcels = sa.Table(
    "simulated_parcels",
    sa.MetaData(),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("tracking_number", sa.String(64)),
    sa.Column("pieces", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
)


class SimulatedCarrier:
    def __init__(self, database: Database, temper: Temper) -> None:
        self._database = database
        self._temper = temper

    async def ship(self, key: str, address: Address, pieces: int) -> str:
        match address.postal_code:
            case "SIM-UNDELIVERABLE":
                raise Refusal("undeliverable_address", "The carrier can't deliver to this address.")
            case "SIM-DOWN":
                raise OutsideUnavailable("simulated: the carrier does not answer")
            case "SIM-FLAKY":
                self._temper.fail_at_first(key)
            case "SIM-SLOW":
                await self._temper.be_slow()
        tracking_number = reference("trk", key)
        parcel = {"key": key, "tracking_number": tracking_number, "pieces": pieces, "state": "left"}
        await self._database.transaction(lambda connection: _send(connection, parcel), "send parcel")
        if address.postal_code == "SIM-SLOW-ANSWER":  # Left, but the answer takes its time.
            await self._temper.be_slow()
        return tracking_number

    async def recall(self, key: str) -> str | None:
        return await self._database.transaction(lambda connection: _recall(connection, key), "recall parcel")


def _send(connection: Connection, parcel: dict[str, object]) -> None:
    connection.execute(insert_new(connection, parcels), parcel)
    if connection.scalar(sa.select(parcels.c.state).where(parcels.c.key == parcel["key"])) == "recalled":
        raise Refusal("parcel_recalled", "The parcel was called back and can't be sent again.")


def _recall(connection: Connection, key: str) -> str | None:
    connection.execute(insert_new(connection, parcels), {"key": key, "pieces": 0, "state": "recalled"})
    found = connection.execute(sa.select(parcels.c.state, parcels.c.tracking_number).where(parcels.c.key == key))
    row = found.one()
    return str(row.tracking_number) if row.state == "left" else None
