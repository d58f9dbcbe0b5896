"""The API's composition root."""

import asyncio
import signal

from api.app import create_app
from api.orders import Orders
from api.settings import ApiSettings
from service.http import HttpServer, http_server, listen
from service.settings import load
from service.temporal import lazy_client
from telemetry.process import Telemetry

NAME = "api"


async def main() -> None:
    """Serve the API until SIGTERM or SIGINT. Raises SettingError."""
    settings = load(ApiSettings)
    socket = listen(settings.api_host, settings.api_port, "ORDERFLOW_API_PORT")
    async with Telemetry(NAME, settings.data_dir, settings.log_format) as telemetry:
        orders = Orders(await lazy_client(NAME, telemetry), settings.step_timeout_seconds)
        server = http_server(create_app(orders, settings.api_keys, telemetry.exposition), timeout_graceful_shutdown=10)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _stop, server)
        await server.serve([socket])


def _stop(server: HttpServer) -> None:
    server.should_exit = True
