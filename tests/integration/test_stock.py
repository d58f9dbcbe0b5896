"""The stock: nothing is sold twice, whoever asks at the same time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

from contracts.errors import Refusal
from contracts.orders import Item
from service.settings import SettingError
from workers.database import Database, open_database
from workers.inventory.stock import Stock, reservations, stock
from workers.migration import migrate


@pytest.fixture
async def two_databases(url: URL) -> AsyncIterator[Sequence[Database]]:
    """The inventory database as two worker processes have it open."""
    databases = [open_database(url), open_database(url)]
    await migrate("inventory", databases[0])
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture
def database(two_databases: Sequence[Database]) -> Database:
    return two_databases[0]


@pytest.fixture
def store(database: Database) -> Stock:
    return Stock(database)


async def put(database: Database, **available: int) -> None:
    rows = [{"sku": sku, "available": n} for sku, n in available.items()]
    await database.transaction(lambda connection: connection.execute(sa.insert(stock), rows))


async def left(database: Database) -> dict[str, int]:
    found = await database.transaction(lambda connection: connection.execute(sa.select(stock)).all())
    return {row.sku: row.available for row in found}


async def held(database: Database) -> dict[tuple[str, str], int]:
    found = await database.transaction(lambda connection: connection.execute(sa.select(reservations)).all())
    return {(row.key, row.sku): row.quantity for row in found}


def items(**quantities: int) -> list[Item]:
    return [Item(sku=sku, quantity=quantity, unit_price_minor=1) for sku, quantity in quantities.items()]


async def test_a_hundred_pieces_are_reserved_a_hundred_times(two_databases: Sequence[Database]) -> None:
    """Of 200 reservations at once for 100 pieces exactly 100 succeed, the others are refused, and 0 are left."""
    await put(two_databases[0], A=100)
    stocks = [Stock(database) for database in two_databases]
    ended = await asyncio.gather(
        *(stocks[n % 2].reserve(f"k{n}", items(A=1)) for n in range(200)), return_exceptions=True
    )
    refused = [end for end in ended if isinstance(end, Refusal)]
    assert {end.code for end in refused} == {"out_of_stock"}
    assert (len(refused), ended.count(None)) == (100, 100)
    assert await left(two_databases[0]) == {"A": 0}
    assert len(await held(two_databases[0])) == 100


async def test_all_or_nothing(database: Database, store: Stock) -> None:
    """When one of several articles is short or unknown, none of them is taken."""
    await put(database, A=10, B=1)
    for wanted, code in ((items(A=2, B=2), "out_of_stock"), (items(A=2, NONE=1), "unknown_sku")):
        with pytest.raises(Refusal) as refused:
            await store.reserve("k", wanted)
        assert refused.value.code == code
    assert await left(database) == {"A": 10, "B": 1}
    assert await held(database) == {}


async def test_lines_of_one_article_are_added_up(database: Database, store: Stock) -> None:
    """Two lines of the same article need as many pieces as both together."""
    await put(database, A=10)
    with pytest.raises(Refusal):
        await store.reserve("k", [*items(A=6), *items(A=5)])
    await store.reserve("k", [*items(A=6), *items(A=4)])
    assert await left(database) == {"A": 0}


async def test_a_thousand_lines(database: Database, store: Stock) -> None:
    """An order of as many lines as the API takes is reserved and released whole."""
    skus = [f"SKU-{n}" for n in range(1000)]
    await put(database, **dict.fromkeys(skus, 3))
    await store.reserve("k", items(**dict.fromkeys(skus, 2)))
    assert await left(database) == dict.fromkeys(skus, 1)
    await store.release("k")
    assert await left(database) == dict.fromkeys(skus, 3)


async def test_repeats_change_nothing(database: Database, store: Stock) -> None:
    """A repeated reservation takes nothing more, also when the stock is used up; a repeated release returns no more."""
    await put(database, A=5, B=5)
    for _ in range(3):
        await store.reserve("k", items(A=5, B=2))
    assert await left(database) == {"A": 0, "B": 3}
    for _ in range(3):
        await store.release("k")
    assert await left(database) == {"A": 5, "B": 5}
    assert await held(database) == {}


async def test_the_same_reservation_at_once_is_one(two_databases: Sequence[Database]) -> None:
    """Twenty executions at once of one order's reservation of the last pieces all succeed and take them once."""
    await put(two_databases[0], A=5)
    stocks = [Stock(database) for database in two_databases]
    ended = await asyncio.gather(*(stocks[n % 2].reserve("k", items(A=5)) for n in range(20)), return_exceptions=True)
    assert ended == [None] * 20
    assert await left(two_databases[0]) == {"A": 0}
    assert await held(two_databases[0]) == {("k", "A"): 5}


async def test_opposing_orders_do_not_lock_each_other_out(two_databases: Sequence[Database]) -> None:
    """Reservations and releases that name the same articles in opposing order all go through."""
    skus = [f"S{n}" for n in range(10)]
    await put(two_databases[0], **dict.fromkeys(skus, 1000))
    stocks = [Stock(database) for database in two_databases]

    async def reserve_and_release(number: int) -> None:
        ordered = skus if number % 2 else skus[::-1]
        mine = stocks[number % 2]
        await mine.reserve(f"k{number}", items(**dict.fromkeys(ordered, 1)))
        if number % 3:
            await mine.release(f"k{number}")

    ended = await asyncio.gather(*(reserve_and_release(number) for number in range(60)), return_exceptions=True)
    assert ended == [None] * 60
    assert await left(two_databases[0]) == dict.fromkeys(skus, 1000 - 20)


async def test_the_database_itself_refuses_a_negative_stock(database: Database) -> None:
    """Whatever the code does, the database does not let an article go below zero."""
    await put(database, A=1)
    with pytest.raises(IntegrityError, match=r"stock_not_negative"):
        await database.transaction(
            lambda connection: connection.execute(sa.update(stock).values(available=stock.c.available - 2))
        )
    assert await left(database) == {"A": 1}


async def test_the_catalogue_adds_what_is_new(database: Database, store: Stock, tmp_path: Path) -> None:
    """Taking the catalogue in again adds new articles and leaves the known ones' stock alone."""
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_text("sku,available\nA,10\n")
    await store.add_new(catalogue)
    await store.reserve("k", items(A=4))
    catalogue.write_text("sku,available\nA,10\nB,7\n")
    await store.add_new(catalogue)
    assert await left(database) == {"A": 6, "B": 7}


@pytest.mark.parametrize("content", [None, "article,count\nA,1\n", "sku,available\nA,many\n", "sku,available\nA,-1\n"])
async def test_a_catalogue_that_can_not_be_read_names_its_setting(
    store: Stock, tmp_path: Path, content: str | None
) -> None:
    """A catalogue that is missing or wrong is refused in one line that names the setting."""
    catalogue = tmp_path / "catalogue.csv"
    if content is not None:
        catalogue.write_text(content)
    with pytest.raises(SettingError, match=r"^ORDERFLOW_INVENTORY_CATALOGUE: .*$"):
        await store.add_new(catalogue)
