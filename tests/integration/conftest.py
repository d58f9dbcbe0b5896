"""What the integration tests share: databases and a Temporal server, all real."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from contracts.search import CUSTOMER_ID, ORDER_STATUS
from tests.support.postgres import fresh_database, postgres_server
from workers.database import database_url


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    with postgres_server() as url:
        yield url


@pytest.fixture
async def postgres_url(postgres: URL, tmp_path: Path) -> AsyncIterator[URL]:
    """An empty PostgreSQL database."""
    async with fresh_database(postgres) as url:
        yield database_url(url.render_as_string(hide_password=False), "test", tmp_path, "TEST_DATABASE_URL")


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[URL]:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield database_url(None, "test", tmp_path, "TEST_DATABASE_URL")
        return
    async with fresh_database(request.getfixturevalue("postgres")) as fresh:
        yield database_url(fresh.render_as_string(hide_password=False), "test", tmp_path, "TEST_DATABASE_URL")


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server with our search attributes and, until a test starts one, no worker."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_log_level="error",
        # As the embedded platform has it: quick, and a worker that stops is let go at once.
        dev_server_extra_args=[
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
            *("--dynamic-config-value", "frontend.enableCancelWorkerPollsOnShutdown=true"),
        ],
        search_attributes=[ORDER_STATUS, CUSTOMER_ID],
        data_converter=pydantic_data_converter,
    ) as environment:
        yield environment
