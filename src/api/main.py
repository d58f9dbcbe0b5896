"""The API's composition root."""

import asyncio
import signal

from api.app import create_app
from api.orders import Orders
from api.queues import QueueMonitor
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
        monitor = QueueMonitor(settings.monitor_url)
        app = create_app(orders, monitor, settings.api_keys, telemetry.exposition)
        server = http_server(app, timeout_graceful_shutdown=10)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _stop, server)
        try:
            await server.serve([socket])
        finally:
            await monitor.close()


def _stop(server: HttpServer) -> None:
    server.should_exit = True
