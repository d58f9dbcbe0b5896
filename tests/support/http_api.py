"""The order API over real HTTP, in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from temporalio.client import Client

from api.app import create_app
from api.orders import Orders
from api.queues import QueueMonitor
from service.http import http_server, listen


@asynccontextmanager
async def served(
    client: Client, api_keys: Mapping[str, str] | None = None, monitor_url: str = "http://127.0.0.1:1"
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the API, which is served on a port of its own and asks `client` for the orders.

    Without `monitor_url` there is no queue monitor.
    """
    listening = listen("127.0.0.1", 0, "TEST_API_PORT")
    monitor = QueueMonitor(monitor_url)
    server = http_server(
        create_app(Orders(client, step_timeout_seconds=3600), monitor, api_keys or {}, lambda _: (b"", "text/plain"))
    )
    serving = asyncio.create_task(server.serve([listening]))
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
            yield http
    finally:
        server.should_exit = True
        await serving
        await monitor.close()
