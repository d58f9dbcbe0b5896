"""A worker process: connect, poll, answer for its health, and stop without dropping work."""

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.worker import Interceptor, PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker

from contracts.registry import Service
from service.health import complaints
from service.http import http_server, listen
from service.settings import WorkerSettings
from service.temporal import connect
from telemetry.process import Telemetry

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duties:
    """What a worker does on its queue."""

    activities: Sequence[Callable[..., Any]] = ()
    workflows: Sequence[type] = ()
    interceptors: Sequence[Interceptor] = ()


async def run_worker(service: Service, duties: Duties, settings: WorkerSettings, telemetry: Telemetry) -> None:
    """Serve the service's task queue until SIGTERM or SIGINT, then let running work finish.

    Raises SettingError when the health port can't be had.
    """
    assert service.task_queue is not None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    port = settings.health_port if settings.health_port is not None else service.port
    health = _Health(service.task_queue, bool(duties.workflows), telemetry)
    server = http_server(health.app())
    serving = asyncio.create_task(server.serve([listen("127.0.0.1", port, "ORDERFLOW_HEALTH_PORT")]))
    try:
        client = await _unless(stop, connect(service.name, telemetry))
        if client is not None:
            health.client = client
            await _work(client, service.task_queue, duties, settings, stop)
    finally:
        server.should_exit = True
        await serving


async def _work(client: Client, task_queue: str, duties: Duties, settings: WorkerSettings, stop: asyncio.Event) -> None:
    worker = Worker(
        client,
        task_queue=task_queue,
        activities=duties.activities,
        workflows=duties.workflows,
        interceptors=duties.interceptors,
        # The sandbox costs half of a workflow worker's CPU. What it guards against is held instead by the lint
        # rules on `src/workflow` and by replaying the recorded histories inside it, in the tests.
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=settings.max_concurrent_activities,
        max_concurrent_workflow_tasks=settings.max_concurrent_workflow_tasks if duties.workflows else None,
        max_cached_workflows=settings.max_cached_workflows,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(settings.activity_pollers),
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(settings.workflow_pollers),
        # Heartbeats carry cancellations back, so they go out often; only long activities send any.
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        default_heartbeat_throttle_interval=timedelta(seconds=1),
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_seconds),
    )
    async with worker:
        _log.info("polling", extra={"event.action": "worker-started", "temporal.task_queue": task_queue})
        await stop.wait()
        _log.info("stopping", extra={"event.action": "worker-stopping", "temporal.task_queue": task_queue})
    _log.info("stopped", extra={"event.action": "worker-stopped", "temporal.task_queue": task_queue})


class _Health:
    """`/healthz`: the process answers. `/readyz`: the Temporal server sees it work, else 503 and why."""

    def __init__(self, task_queue: str, has_workflows: bool, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.client: Client | None = None
        self._task_queue = task_queue
        self._type = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW if has_workflows else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/healthz", self._alive), Route("/readyz", self._ready), Route("/metrics", self._metrics)]
        )

    async def _alive(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def _metrics(self, request: Request) -> Response:
        content, content_type = self._telemetry.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": content_type})

    async def _ready(self, _: Request) -> JSONResponse:
        if self.client is None:
            return JSONResponse({"status": "starting", "problems": ["not connected to Temporal yet"]}, 503)
        found = await complaints(self.client, self._task_queue, self._type)
        return JSONResponse(
            {"status": "unready" if found else "ok", "problems": found, "task_queue": self._task_queue},
            503 if found else 200,
        )


async def _unless(stop: asyncio.Event, wanted: Any) -> Any:
    """The result of `wanted`, or None when `stop` is set first."""
    work, stopped = asyncio.ensure_future(wanted), asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if work.done():
        return work.result()
    work.cancel()
    return None
