"""Transactions, as the ledger and the stores rely on them."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from workers.database import Database, open_database

notes = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.String(20), primary_key=True))


@pytest.fixture
async def database(url: URL) -> AsyncIterator[Database]:
    database = open_database(url)
    await database.transaction(notes.metadata.create_all)
    yield database
    await database.close()


async def written(database: Database) -> list[str]:
    return list(await database.transaction(lambda connection: connection.scalars(sa.select(notes.c.text)).all()))


async def test_an_exception_leaves_nothing(database: Database) -> None:
    """A transaction that fails half-way has written nothing, and the next one works."""

    def fails(connection: Connection) -> None:
        connection.execute(sa.insert(notes).values(text="half"))
        raise LookupError

    with pytest.raises(LookupError):
        await database.transaction(fails)
    await database.transaction(lambda connection: connection.execute(sa.insert(notes).values(text="whole")))
    assert await written(database) == ["whole"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_cancellation_is_told_when_the_transaction_has_ended(database: Database) -> None:
    """Who learns that a transaction was cancelled finds it ended: nothing is written behind an undo's back."""
    begun, may_end = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        may_end.wait(30)
        connection.execute(sa.insert(notes).values(text="late"))

    task = asyncio.ensure_future(database.transaction(slow))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    ended, _ = await asyncio.wait([task], timeout=0.2)
    assert not ended
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await written(database) == ["late"]
