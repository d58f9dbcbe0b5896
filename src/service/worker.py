"""A worker process: connect, poll, answer for its health, and stop without dropping work."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import (
    Interceptor,
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
)

from contracts.registry import Service
from service.endpoint import endpoint, served, told_to_stop
from service.health import complaints
from service.settings import WorkerSettings
from service.temporal import connect
from telemetry.logs import VERSION
from telemetry.process import Telemetry

DEPLOYMENT = "orderflow"

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
    stop = told_to_stop()
    port = settings.health_port if settings.health_port is not None else service.port
    health = _Health(service.task_queue, bool(duties.workflows))
    async with served(endpoint(health.problems, telemetry.exposition), settings.health_host, port):
        client = await _unless(stop, connect(service.name, telemetry))
        if client is not None:
            health.client = client
            await _work(client, service.task_queue, duties, settings, stop)


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
        # For people, in the worker's heartbeat: which of our versions runs. Tasks are not routed by it.
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(DEPLOYMENT, VERSION), use_worker_versioning=False
        ),
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
    """Ready is a worker that the Temporal server sees work."""

    def __init__(self, task_queue: str, has_workflows: bool) -> None:
        self.client: Client | None = None
        self._task_queue = task_queue
        self._type = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW if has_workflows else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY

    async def problems(self) -> list[str]:
        if self.client is None:
            return ["not connected to Temporal yet"]
        return await complaints(self.client, self._task_queue, self._type)


async def _unless(stop: asyncio.Event, wanted: Any) -> Any:
    """The result of `wanted`, or None when `stop` is set first."""
    work, stopped = asyncio.ensure_future(wanted), asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if work.done():
        return work.result()
    work.cancel()
    return None
