"""One Temporal server and one set of scripted workers for all tests of the workflow."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from tests.support.steps import World, scripted_workers
from tests.support.temporal import temporal_server


@pytest_asyncio.fixture(scope="session")
async def client() -> AsyncIterator[Client]:
    async with temporal_server() as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def world(client: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World()
    async with scripted_workers(client, world, tmp_path_factory.mktemp("ledger")):
        yield world
