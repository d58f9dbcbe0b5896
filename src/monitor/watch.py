"""Looking at the task queues: what the Temporal server knows of their tasks and their workers."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueStats
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

from contracts.registry import Service
from monitor.observation import Observation

_ANSWER_SECONDS = 3.0
_PAGE = 1_000


class Watch:
    """Remembers when each worker's heartbeat last changed, so that a clock that is wrong elsewhere does not matter."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._beats: dict[str, tuple[Timestamp, float]] = {}

    async def look(self, services: Iterable[Service]) -> dict[str, Observation | None]:
        """One observation a service that has a queue, by the service's name; None where the server gave no answer.

        At most two calls a queue, and one for all workers.
        """
        try:
            ages = await self._heartbeat_ages()
        except (RPCError, TimeoutError):
            return {service.name: None for service in services}
        return {service.name: await self._queue(service, ages) for service in services}

    async def _queue(self, service: Service, ages: Mapping[str, tuple[float, ...]]) -> Observation | None:
        assert service.task_queue is not None
        try:
            stats = await asyncio.gather(*(self._stats(service.task_queue, kind) for kind in _kinds(service)))
        except (RPCError, TimeoutError):
            return None
        return Observation(
            backlog=sum(one.approximate_backlog_count for one in stats),
            oldest_seconds=max(_oldest_seconds(one) for one in stats),
            heartbeat_ages_seconds=ages.get(service.task_queue, ()),
            added_per_second=sum(one.tasks_add_rate for one in stats),
            dispatched_per_second=sum(one.tasks_dispatch_rate for one in stats),
        )

    async def _stats(self, task_queue: str, kind: TaskQueueType.ValueType) -> TaskQueueStats:
        described = await self._client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self._client.namespace,
                task_queue=TaskQueue(name=task_queue),
                task_queue_type=kind,
                report_stats=True,
            ),
            timeout=timedelta(seconds=_ANSWER_SECONDS),
        )
        return described.stats

    async def _heartbeat_ages(self) -> dict[str, tuple[float, ...]]:
        """Of the workers that are not shutting down, by task queue."""
        found: dict[str, list[float]] = defaultdict(list)
        listed: set[str] = set()
        token = b""
        while True:
            page = await self._client.workflow_service.list_workers(
                ListWorkersRequest(namespace=self._client.namespace, page_size=_PAGE, next_page_token=token),
                timeout=timedelta(seconds=_ANSWER_SECONDS),
            )
            for worker in page.workers_info:
                beat = worker.worker_heartbeat
                listed.add(beat.worker_instance_key)
                age_seconds = self._age_seconds(beat)
                if beat.status != WorkerStatus.WORKER_STATUS_SHUTTING_DOWN:
                    found[beat.task_queue].append(age_seconds)
            token = page.next_page_token
            if not token:
                break
        self._beats = {key: beat for key, beat in self._beats.items() if key in listed}
        return {task_queue: tuple(sorted(ages)) for task_queue, ages in found.items()}

    def _age_seconds(self, beat: WorkerHeartbeat) -> float:
        now_seconds = time.monotonic()
        known = self._beats.get(beat.worker_instance_key)
        if known is not None and known[0] == beat.heartbeat_time:
            return now_seconds - known[1]
        # Of a worker that is new to us there is only its own clock to go by.
        age_seconds = (
            0.0 if known else max(0.0, (datetime.now(UTC) - beat.heartbeat_time.ToDatetime(UTC)).total_seconds())
        )
        self._beats[beat.worker_instance_key] = (beat.heartbeat_time, now_seconds - age_seconds)
        return age_seconds


def _kinds(service: Service) -> tuple[TaskQueueType.ValueType, ...]:
    """A step's queue has activities only; the order worker's has workflow tasks besides."""
    activities = (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,)
    return activities if service.step else (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, *activities)


def _oldest_seconds(stats: TaskQueueStats) -> float:
    return stats.approximate_backlog_age.ToTimedelta().total_seconds() if stats.approximate_backlog_count else 0.0
