"""Migrations: from nothing to what the code works with, repeated, at once, and back."""

import asyncio
import os
import pkgutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import URL

import workers
from contracts.registry import STEPS
from tests.support.platform import ORDERFLOW
from workers.database import Database, open_database
from workers.migration import migrate, migration_config

_MIGRATE = """
import asyncio, sys
from sqlalchemy.engine import make_url
from workers.database import open_database
from workers.migration import migrate

async def main(step, url):
    database = open_database(url)
    print("ready", flush=True)
    sys.stdin.readline()
    await migrate(step, database)
    await database.close()

asyncio.run(main(sys.argv[1], make_url(sys.argv[2])))
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


@pytest.fixture
async def database(url: URL) -> AsyncIterator[Database]:
    database = open_database(url)
    yield database
    await database.close()


async def differences(database: Database, metadata: sa.MetaData) -> list[object]:
    return await database.transaction(
        lambda connection: list(compare_metadata(MigrationContext.configure(connection), metadata))
    )


async def table_names(database: Database) -> set[str]:
    return set(await database.transaction(lambda connection: sa.inspect(connection).get_table_names()))


@pytest.mark.parametrize("step", STEPS)
async def test_from_nothing_to_what_the_code_works_with(database: Database, step: str) -> None:
    """A step's migrations make exactly its tables, from nothing; repeating them changes nothing; back leaves none."""
    in_code = tables_in_code(step)
    assert "effects" in in_code.tables
    for _ in range(2):
        await migrate(step, database)
        assert await differences(database, in_code) == []
    await database.transaction(lambda connection: command.downgrade(migration_config(step, connection), "base"))
    assert await table_names(database) == {"alembic_version"}
    await migrate(step, database)
    assert await differences(database, in_code) == []


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
    database = open_database(postgres_url)
    assert await differences(database, tables_in_code("inventory")) == []
    await database.close()


async def test_a_sqlite_file_gets_its_folder(tmp_path: Path) -> None:
    """The first start makes the data folder that the database is to be in."""
    path = tmp_path / "not" / "there" / "payment.db"
    database = open_database(URL.create("sqlite", database=str(path)))
    await migrate("payment", database)
    await database.close()
    assert path.is_file()


def test_migrations_as_a_job(tmp_path: Path) -> None:
    """`orderflow migrate` brings databases up to date and ends; a worker that does not migrate then works with them."""
    environment = os.environ | {"ORDERFLOW_DATA_DIR": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [ORDERFLOW, "migrate", *STEPS], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for step in STEPS:
        with closing(sqlite3.connect(tmp_path / f"{step}.db")) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables >= {*tables_in_code(step).tables, "alembic_version"}


def test_migration_of_an_unusable_database(tmp_path: Path) -> None:
    """A wrong database URL ends the job with one line that names the setting."""
    environment = os.environ | {
        "ORDERFLOW_DATA_DIR": str(tmp_path),
        "ORDERFLOW_PAYMENT_DATABASE_URL": "mysql://host/db",
    }
    done = subprocess.run(
        [ORDERFLOW, "migrate", "payment"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("orderflow: ORDERFLOW_PAYMENT_DATABASE_URL: ")
    assert done.stderr.count("\n") == 1
