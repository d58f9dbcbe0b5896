"""The queue monitor's composition root."""

import asyncio
import sys
import time
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.registry import WORKERS
from monitor.board import Board
from monitor.delivery import Delivery
from monitor.journal import Journal
from monitor.links import Links
from monitor.metrics import publish
from monitor.monitor import Monitor
from monitor.receivers import AlertsFile, Receiver
from monitor.settings import MonitorSettings
from monitor.waiting import WaitingOrders
from monitor.watch import Watch
from service.endpoint import endpoint, served, told_to_stop
from service.settings import load
from service.temporal import lazy_client
from telemetry.process import Telemetry

NAME = "monitor"
_STUCK_SECONDS = 30.0
"""A look that takes longer is none: each call to the server is bounded."""


async def main() -> None:
    """Watch until SIGTERM or SIGINT. Raises SettingError."""
    settings = load(MonitorSettings)
    async with Telemetry(NAME, settings.data_dir, settings.log_format) as telemetry:
        stop = told_to_stop()
        client = await lazy_client(NAME, telemetry)
        board, watch = Board(), Watch(client)
        journal = Journal(settings.data_dir / "monitor.json")
        delivery = Delivery(_receivers(settings), journal)
        monitor = Monitor(
            WORKERS,
            watch=watch,
            waiting_orders=WaitingOrders(client),
            board=board,
            delivery=delivery,
            incidents=journal.incidents,
            links=_links(settings, client.namespace),
            order_too_old=timedelta(seconds=settings.order_too_old_seconds),
        )
        publish(board, lambda: watch.calls, lambda: delivery.waiting)

        async def problems() -> list[str]:
            return _problems(board)

        async def queues(_: Request) -> Response:
            return Response(board.queues().model_dump_json(), media_type="application/json")

        app = endpoint(problems, telemetry.exposition, Route("/queues", queues))
        async with served(app, settings.health_host, settings.health_port):
            work: list[asyncio.Task[None]] = [
                asyncio.create_task(monitor.run(settings.monitor_interval_seconds)),
                asyncio.create_task(delivery.run()),
            ]
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait([*work, stopped], return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in work if task.done()]
            for task in (*work, stopped):
                task.cancel()
            await asyncio.wait(work)
            for task in ended:
                task.result()  # A monitor that has lost one of its halves ends, and is started again.


def _receivers(settings: MonitorSettings) -> list[Receiver]:
    receivers: list[Receiver] = [AlertsFile(settings.data_dir / "alerts.jsonl")]
    # What not everyone needs is imported only where it is.
    if sys.stderr.isatty():
        from monitor.terminal import Terminal  # noqa: PLC0415

        receivers.append(Terminal())
    if settings.alert_urls:
        from monitor.chat import AppriseUrl  # noqa: PLC0415

        receivers += map(AppriseUrl, settings.alert_urls)
    return receivers


def _links(settings: MonitorSettings, namespace: str) -> Links:
    return Links(
        namespace=namespace,
        runbooks=settings.runbooks_url,
        temporal_ui=settings.temporal_ui_url,
        jaeger=settings.jaeger_url,
        kibana=settings.kibana_url,
        console=settings.console_url,
    )


def _problems(board: Board) -> list[str]:
    if board.ended_seconds is None:
        return ["it has not looked yet"]
    silent_seconds = time.monotonic() - board.ended_seconds
    if silent_seconds > _STUCK_SECONDS:
        return [f"its last look was {silent_seconds:.0f} s ago"]
    return [] if board.temporal_up else ["the Temporal server can't be asked"]
