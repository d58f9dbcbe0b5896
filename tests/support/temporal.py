"""A real Temporal dev server for a test."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from contracts.search import CUSTOMER_ID, ORDER_STATUS


@asynccontextmanager
async def temporal_server() -> AsyncIterator[Client]:
    """A client of a server that lives as long as the context."""
    environment = await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_extra_args=[
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
            *("--dynamic-config-value", "frontend.enableCancelWorkerPollsOnShutdown=true"),
        ],
        search_attributes=[ORDER_STATUS, CUSTOMER_ID],
    )
    async with environment:
        yield environment.client
