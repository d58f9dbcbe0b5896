"""A step's own database: SQLite by default, PostgreSQL by URL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.settings import SettingError

WORKERS = Path(__file__).parent
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def database_url(given: str | None, step: str, data_dir: Path, setting: str) -> URL:
    """The URL to use, with its async driver. Raises SettingError, naming `setting`, for one that can't be used."""
    if given is None:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / f"{step}.db"))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number.
        raise SettingError(f"{setting}: not a database URL") from None
    scheme = url.drivername.split("+")[0]
    if scheme not in _DRIVERS:
        raise SettingError(f"{setting}: {scheme} is not supported; use sqlite:///… or postgresql://…")
    return url.set(drivername=_DRIVERS[scheme])


class Database:
    """Short transactions on one engine."""

    def __init__(self, url: URL, pool_size: int = 10) -> None:
        sqlite = url.get_backend_name() == "sqlite"
        if sqlite and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        # SQLite has one writer: one connection queues our transactions in order instead of having them collide.
        pool = {"pool_size": 1, "max_overflow": 0} if sqlite else {"pool_size": pool_size, "pool_pre_ping": True}
        self.engine: AsyncEngine = create_async_engine(url, **pool)
        if sqlite:
            event.listen(self.engine.sync_engine, "connect", _on_sqlite_connect)
            event.listen(self.engine.sync_engine, "begin", _on_sqlite_begin)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commits at the end, rolls back on any exception, cancellation included."""
        async with self.engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self.engine.dispose()


def insert_new(connection: AsyncConnection, table: sa.Table) -> sa.Insert:
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


def migration_config(step: str, url: URL) -> Config:
    """Alembic's configuration for one step: the common revisions (the ledger) and the step's own."""
    config = Config()
    config.set_main_option("script_location", str(WORKERS / "migrations"))
    config.set_main_option("path_separator", "os")
    own = WORKERS / step / "migrations"
    locations = [WORKERS / "migrations" / "versions", *([own] if own.is_dir() else [])]
    config.set_main_option("version_locations", ":".join(str(location) for location in locations))
    config.attributes["url"] = url
    return config


async def migrate(step: str, url: URL) -> None:
    """Bring the step's database to the newest revision. Safe to repeat."""
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(command.upgrade, migration_config(step, url), "heads")
