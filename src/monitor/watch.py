"""Looking at the task queues: what the Temporal server knows of their tasks and their workers."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import inf

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueStats
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

from contracts.registry import Service
from monitor.heartbeats import Heartbeats
from monitor.newcomers import Newcomers
from monitor.observation import Observation

_ANSWER_SECONDS = 3.0
_PAGE = 1_000
_AT_ONCE = 20
"""Calls under way at the same time, so that a long registry does not flood the server."""


@dataclass(frozen=True, slots=True)
class _Worker:
    age_seconds: float
    has_free_slots: bool


class Watch:
    """Looks, and keeps from look to look what tells how old heartbeats are."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._heartbeats = Heartbeats()
        self._newcomers: dict[str, Newcomers] = defaultdict(Newcomers)
        # Our clock, but one that is never set: by it heartbeats age.
        self._started_seconds = time.time() - time.monotonic()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.calls = 0
        """To the server, so far."""

    async def look(self, services: Iterable[Service]) -> dict[str, Observation | None]:
        """One observation a service that has a queue, by the service's name; None where the server gave no answer.

        One call a queue, two where it has workflows as well, and one for all workers.
        """
        watched = list(services)
        try:
            listed = {beat.worker_instance_key: beat async for beat in self._listed()}
        except (RPCError, RuntimeError, TimeoutError):  # A lazy client's first connection fails as RuntimeError.
            return {service.name: None for service in watched}
        workers = self._workers(listed)
        heard_of = {beat.worker_identity for beat in listed.values()}
        found = await asyncio.gather(*(self._queue(service, workers, heard_of) for service in watched))
        return {service.name: seen for service, seen in zip(watched, found, strict=True)}

    async def _queue(
        self, service: Service, workers: Mapping[str, list[_Worker]], heard_of: Collection[str]
    ) -> Observation | None:
        assert service.task_queue is not None
        try:
            described = [await self._describe(service.task_queue, kind) for kind in _kinds(service)]
        except (RPCError, TimeoutError):
            return None
        stats = [one.stats for one in described]
        now_seconds = time.monotonic()
        polling = {poller.identity for one in described for poller in one.pollers}
        newcomers = self._newcomers[service.task_queue].after(polling, now_seconds)
        self._newcomers[service.task_queue] = newcomers
        serving = [
            *workers.get(service.task_queue, []),
            *(_Worker(age, has_free_slots=True) for age in newcomers.ages_seconds(heard_of, now_seconds)),
        ]
        return Observation(
            backlog=sum(one.approximate_backlog_count for one in stats),
            oldest_seconds=max(_oldest_seconds(one) for one in stats),
            ages_seconds=tuple(sorted(worker.age_seconds for worker in serving if worker.age_seconds < inf)),
            has_free_slots=any(worker.has_free_slots for worker in serving),
            added_per_second=sum(one.tasks_add_rate for one in stats),
            dispatched_per_second=sum(one.tasks_dispatch_rate for one in stats),
        )

    async def _describe(self, task_queue: str, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
        async with self._turns:
            self.calls += 1
            return await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._client.namespace,
                    task_queue=TaskQueue(name=task_queue),
                    task_queue_type=kind,
                    report_stats=True,
                ),
                timeout=timedelta(seconds=_ANSWER_SECONDS),
            )

    def _workers(self, listed: Mapping[str, WorkerHeartbeat]) -> dict[str, list[_Worker]]:
        """Those that are not shutting down, by task queue."""
        self._heartbeats = self._heartbeats.after(listed, self._started_seconds + time.monotonic())
        found: dict[str, list[_Worker]] = defaultdict(list)
        for key, beat in listed.items():
            if beat.status != WorkerStatus.WORKER_STATUS_SHUTTING_DOWN:
                found[beat.task_queue].append(_Worker(self._heartbeats.age_seconds(key), has_free_slots(beat)))
        return found

    async def _listed(self) -> AsyncIterator[WorkerHeartbeat]:
        """The newest heartbeat of each worker that the server has not forgotten."""
        token = b""
        while True:
            self.calls += 1
            page = await self._client.workflow_service.list_workers(
                ListWorkersRequest(namespace=self._client.namespace, page_size=_PAGE, next_page_token=token),
                timeout=timedelta(seconds=_ANSWER_SECONDS),
            )
            for worker in page.workers_info:
                yield worker.worker_heartbeat
            token = page.next_page_token
            if not token:
                return


def has_free_slots(beat: WorkerHeartbeat) -> bool:
    """Whether it could take a task more of each type that it takes at all."""
    slots = (beat.activity_task_slots_info, beat.workflow_task_slots_info)
    # Of a type that it does not take, a worker has no slot, neither free nor used.
    return all(
        one.current_available_slots > 0 for one in slots if one.current_available_slots or one.current_used_slots
    )


def _kinds(service: Service) -> tuple[TaskQueueType.ValueType, ...]:
    """A step's queue has activities only; the order worker's has workflow tasks besides."""
    activities = (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,)
    return activities if service.step else (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, *activities)


def _oldest_seconds(stats: TaskQueueStats) -> float:
    return stats.approximate_backlog_age.ToTimedelta().total_seconds() if stats.approximate_backlog_count else 0.0
