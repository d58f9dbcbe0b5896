"""The stock: how many of each SKU can still be reserved, and who holds what."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from contracts.errors import Refusal
from contracts.orders import Item
from service.settings import SettingError
from workers.database import Database, insert_new

_metadata = sa.MetaData()
stock = sa.Table(
    "stock",
    _metadata,
    sa.Column("sku", sa.String(64), primary_key=True),
    sa.Column("available", sa.BigInteger, nullable=False),
)
reservations = sa.Table(
    "reservations",
    _metadata,
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("sku", sa.String(64), primary_key=True),
    sa.Column("quantity", sa.BigInteger, nullable=False),
)
_CHUNK = 500  # Databases bound the parameters of one statement.


class Stock:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_new(self, catalogue: Path) -> None:
        """Take in the catalogue's SKUs (CSV: sku, available) that are not known yet; known ones keep their count.

        Raises SettingError for a catalogue that can't be read.
        """
        try:
            with catalogue.open(newline="") as file:
                rows = [{"sku": row["sku"], "available": _count(row["available"])} for row in csv.DictReader(file)]
        except (OSError, KeyError, ValueError) as error:
            raise SettingError(f"ORDERFLOW_INVENTORY_CATALOGUE: {catalogue}: {error!r}") from None
        await self._database.transaction(lambda connection: connection.execute(insert_new(connection, stock), rows))

    async def reserve(self, key: str, items: Iterable[Item]) -> None:
        """Take all items or none; a repeat takes nothing more. Raises Refusal when stock is short or a SKU unknown."""
        wanted: Counter[str] = Counter()
        for item in items:
            wanted[item.sku] += item.quantity
        await self._database.transaction(lambda connection: _reserve(connection, key, wanted), "reserve")

    async def release(self, key: str) -> None:
        """Put back what `key` holds; a repeat puts back nothing more."""
        await self._database.transaction(lambda connection: _release(connection, key), "release")


def _reserve(connection: Connection, key: str, wanted: Mapping[str, int]) -> None:
    # Locked first: a second execution for the same key waits here, and then sees what the first holds.
    available = _lock(connection, sorted(wanted))
    if connection.scalar(sa.select(sa.func.count()).select_from(reservations).where(reservations.c.key == key)):
        return
    _refuse_short(wanted, available)
    connection.execute(
        sa.update(stock)
        .where(stock.c.sku == sa.bindparam("of"))
        .values(available=stock.c.available - sa.bindparam("taken")),
        [{"of": sku, "taken": quantity} for sku, quantity in sorted(wanted.items())],
    )
    connection.execute(
        sa.insert(reservations),
        [{"key": key, "sku": sku, "quantity": quantity} for sku, quantity in wanted.items()],
    )


def _release(connection: Connection, key: str) -> None:
    freed = connection.execute(
        sa.delete(reservations).where(reservations.c.key == key).returning(reservations.c.sku, reservations.c.quantity)
    )
    back = [{"of": row.sku, "freed": row.quantity} for row in freed]
    if back:
        connection.execute(
            sa.update(stock)
            .where(stock.c.sku == sa.bindparam("of"))
            .values(available=stock.c.available + sa.bindparam("freed")),
            sorted(back, key=itemgetter("of")),
        )


def _lock(connection: Connection, skus: Sequence[str]) -> dict[str, int]:
    """What is available of `skus`, held until the transaction ends.

    Locked in order of SKU, so that two orders can't lock each other out. (SQLite has the whole database locked
    and leaves FOR UPDATE away.)
    """
    available: dict[str, int] = {}
    for start in range(0, len(skus), _CHUNK):
        found = connection.execute(
            sa.select(stock.c.sku, stock.c.available)
            .where(stock.c.sku.in_(skus[start : start + _CHUNK]))
            .order_by(stock.c.sku)
            .with_for_update()
        )
        available.update((row.sku, row.available) for row in found)
    return available


def _count(text: str) -> int:
    if (count := int(text)) < 0:
        raise ValueError("available is negative")
    return count


def _refuse_short(wanted: Mapping[str, int], available: Mapping[str, int]) -> None:
    for sku, quantity in sorted(wanted.items()):
        if sku not in available:
            raise Refusal("unknown_sku", f"Article {sku} is not known.")
        if available[sku] < quantity:
            raise Refusal("out_of_stock", f"Article {sku} is out of stock in that quantity.")
