"""What a service that is not the API answers over HTTP: its health and its metrics."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from service.http import http_server, listen
from telemetry.metrics import Exposition

Problems = Callable[[], Awaitable[Sequence[str]]]
"""What keeps the service from being ready; nothing when it is."""


def endpoint(problems: Problems, exposition: Exposition, *more: BaseRoute) -> Starlette:
    """`/healthz`: the process answers. `/readyz`: it does its work, else 503 and why. `/metrics`: for a scrape."""

    async def alive(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> JSONResponse:
        found = list(await problems())
        return JSONResponse({"status": "unready" if found else "ok", "problems": found}, 503 if found else 200)

    async def metrics(request: Request) -> Response:
        content, content_type = exposition(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": content_type})

    return Starlette(routes=[Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", metrics), *more])


@asynccontextmanager
async def served(app: Starlette, host: str, port: int) -> AsyncIterator[None]:
    """Raises SettingError when the address can't be had."""
    server = http_server(app)
    serving = asyncio.create_task(server.serve([listen(host, port, "ORDERFLOW_HEALTH_PORT")]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def told_to_stop() -> asyncio.Event:
    """Set at SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
