"""Migrations: from nothing to what the code works with, repeated, at once, and back."""

import asyncio
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

import workers
from contracts.registry import STEPS
from workers.database import migrate, migration_config

_MIGRATE = """
import asyncio, sys
from sqlalchemy.engine import make_url
from workers.database import migrate
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(migrate(sys.argv[1], make_url(sys.argv[2])))
"""


def tables_in_code(step: str) -> sa.MetaData:
    """Every table that the step's package and the common modules define."""
    common = [import_module(f"workers.{found.name}") for found in pkgutil.iter_modules(workers.__path__)]
    package = import_module(f"workers.{step}")
    own = [import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    metadata = sa.MetaData()
    for module in (*common, *own):
        for value in vars(module).values():
            if isinstance(value, sa.Table):
                value.to_metadata(metadata)
    return metadata


async def differences(url: URL, metadata: sa.MetaData) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    return found


async def table_names(url: URL) -> set[str]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda c: sa.inspect(c).get_table_names())
    await engine.dispose()
    return set(names)


@pytest.mark.parametrize("step", STEPS)
async def test_from_nothing_to_what_the_code_works_with(url: URL, step: str) -> None:
    """A step's migrations make exactly its tables, from nothing; repeating them changes nothing; back leaves none."""
    in_code = tables_in_code(step)
    assert "effects" in in_code.tables
    for _ in range(2):
        await migrate(step, url)
        assert await differences(url, in_code) == []
    await asyncio.to_thread(command.downgrade, migration_config(step, url), "base")
    assert await table_names(url) == {"alembic_version"}
    await migrate(step, url)
    assert await differences(url, in_code) == []


def test_tables_of_the_simulators_and_the_stock_are_compared() -> None:
    """The comparison sees every step's own tables, so that it can fail."""
    assert set(tables_in_code("payment").tables) == {"effects", "simulated_charges"}
    assert set(tables_in_code("inventory").tables) == {"effects", "stock", "reservations"}
    assert set(tables_in_code("shipping").tables) == {"effects", "simulated_parcels"}


async def test_two_workers_may_migrate_at_once(postgres_url: URL) -> None:
    """Worker processes of one step that start at the same moment on an empty PostgreSQL database all come up."""
    given = postgres_url.render_as_string(hide_password=False)
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _MIGRATE, "inventory", given),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    ended = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * 2, [errors.decode() for _, errors in ended]
    assert await differences(postgres_url, tables_in_code("inventory")) == []


async def test_a_sqlite_file_gets_its_folder(tmp_path: Path) -> None:
    """The first start makes the data folder that the database is to be in."""
    path = tmp_path / "not" / "there" / "payment.db"
    await migrate("payment", URL.create("sqlite+aiosqlite", database=str(path)))
    assert path.is_file()
