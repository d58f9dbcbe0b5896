"""A step's own database: SQLite by default, PostgreSQL by URL."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from service.settings import SettingError
from telemetry.spans import call_span

T = TypeVar("T")

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def database_url(given: str | None, step: str, data_dir: Path, setting: str) -> URL:
    """The URL to use, with our driver. Raises SettingError, naming `setting`, for one that can't be used."""
    if given is None:
        return URL.create("sqlite", database=str(data_dir / f"{step}.db"))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number.
        raise SettingError(f"{setting}: not a database URL") from None
    scheme = url.drivername.split("+")[0]
    if scheme not in _DRIVERS:
        raise SettingError(f"{setting}: {scheme} is not supported; use sqlite:///… or postgresql://…")
    if mode := url.query.get("sslmode"):  # libpq's name, which is in the URLs that people are given.
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url.set(drivername=_DRIVERS[scheme])


class Database(Protocol):
    """Transactions, each a plain function of a connection, run whole."""

    async def transaction(self, work: Callable[[Connection], T], name: str = "transaction") -> T:
        """Run `work`; commit at its end, roll back on any exception. Raises what `work` raises.

        `name` is what traces call it.
        """
        ...

    async def close(self) -> None: ...


def open_database(url: URL) -> Database:
    return _Sqlite(url) if url.get_backend_name() == "sqlite" else _Postgresql(url)


class _Sqlite:
    """One connection in a thread of its own.

    SQLite has one writer anyway: so our transactions queue in order instead of having them collide. A hop to the
    thread for each transaction, not for each statement as with an async driver, halves what a step costs.
    """

    def __init__(self, url: URL) -> None:
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        # No reset on return: each transaction is ended by `transaction`.
        self._engine = create_engine(
            url,
            hide_parameters=True,
            poolclass=StaticPool,
            pool_reset_on_return=None,
            connect_args={"check_same_thread": False},
        )
        event.listen(self._engine, "connect", _on_sqlite_connect)
        event.listen(self._engine, "begin", _on_sqlite_begin)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

    async def transaction(self, work: Callable[[Connection], T], name: str = "transaction") -> T:
        with call_span(name, {"db.system.name": "sqlite"}):
            in_context = contextvars.copy_context().run
            done = asyncio.get_running_loop().run_in_executor(self._thread, in_context, self._run, work)
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                # A thread can't be called back. Who is told of the cancellation must find the transaction ended: an
                # undo that overtook it would find nothing to undo.
                await asyncio.wait([done])
                raise

    def _run(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()


class _Postgresql:
    """A pool of connections in the event loop."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url, pool_size=10, pool_pre_ping=True, hide_parameters=True)

    async def transaction(self, work: Callable[[Connection], T], name: str = "transaction") -> T:
        with call_span(name, {"db.system.name": "postgresql"}):
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

    async def close(self) -> None:
        await self._engine.dispose()


def insert_new(connection: Connection, table: sa.Table) -> sa.Insert:
    """An INSERT that leaves a row that is there already as it is: both databases know one, plain SQL does not."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def _on_sqlite_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # The driver must not begin transactions by itself: see below.
    cursor = connection.cursor()
    for pragma in ("journal_mode=wal", "synchronous=normal", "busy_timeout=5000", "foreign_keys=on"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    # Taking the write lock at once: a transaction that reads first and writes later could fail half-way.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
