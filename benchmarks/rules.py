"""The usual rules for a queue that nobody serves, asked as often as the monitor looks, and what each said when."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from benchmarks.watching import EVERY_SECONDS
from contracts.queues import QueueState
from monitor.notices import Notice

POLLER_FRESH_SECONDS = 90.0
"""A live worker's long poll can be 60 s old."""
RISING_SECONDS = 60.0
"""The counter fires while it rose within this, as `increase(…[1m]) > 0` would."""
_AT_ONCE = 20
_NO_POLLER_TASKS = re.compile(r'^no_poller_tasks(?:_total)?\{[^}]*\btaskqueue="([^"]+)"[^}]*\} (\S+)', re.MULTILINE)


@dataclass
class Said:
    """What a rule said of each queue, and when (monotonic clock, seconds)."""

    moments: dict[str, list[tuple[float, QueueState]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, queue: str, state: QueueState) -> None:
        self.moments[queue].append((time.monotonic(), state))

    def first(self, queue: str, states: Collection[QueueState], after_seconds: float) -> float | None:
        """When it first said one of these, from `after_seconds` on."""
        return next((at for at, state in self.moments[queue] if at >= after_seconds and state in states), None)


class Notifications:
    """What the monitor notified: a receiver as any other."""

    name = "benchmark"

    def __init__(self) -> None:
        self.said = Said()

    async def deliver(self, notice: Notice) -> None:
        self.said.note(notice.service, notice.queue_state)


class PollersRule:
    """DescribeTaskQueue's list of pollers: none that is fresh means that nobody serves the queue."""

    def __init__(self, client: Client, queues: Sequence[str]) -> None:
        self._client = client
        self._queues = queues
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.said = Said()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = time.monotonic()
            await asyncio.gather(*map(self._look, self._queues))
            await asyncio.sleep(max(0.0, began + EVERY_SECONDS - time.monotonic()))

    async def _look(self, queue: str) -> None:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            report_stats=True,
        )
        async with self._turns:
            try:
                found = await self._client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=3))
            except (RPCError, TimeoutError):
                return
        oldest = datetime.now(UTC) - timedelta(seconds=POLLER_FRESH_SECONDS)
        if any(poller.last_access_time.ToDatetime(UTC) > oldest for poller in found.pollers):
            self.said.note(queue, QueueState.OK)
        else:
            waits = found.stats.approximate_backlog_count > 0
            self.said.note(queue, QueueState.ORPHANED if waits else QueueState.ABSENT)


class CounterRule:
    """The server's counter `no_poller_tasks`: that it appears, or rises, for the queue."""

    def __init__(self, metrics_url: str, queues: Sequence[str]) -> None:
        self._url = metrics_url
        self._queues = queues
        self._values: dict[str, float] = {}
        self._rose: dict[str, float] = {}
        self.said = Said()

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            while True:
                began = time.monotonic()
                with suppress(httpx.HTTPError):
                    self._note((await http.get(self._url)).text)
                await asyncio.sleep(max(0.0, began + EVERY_SECONDS - time.monotonic()))

    def _note(self, exposition: str) -> None:
        values: dict[str, float] = defaultdict(float)
        for queue, value in _NO_POLLER_TASKS.findall(exposition):
            values[queue] += float(value)
        now = time.monotonic()
        for queue in self._queues:
            if values.get(queue, 0.0) > self._values.get(queue, 0.0):
                self._rose[queue] = now
            rises = now - self._rose.get(queue, float("-inf")) < RISING_SECONDS
            self.said.note(queue, QueueState.ORPHANED if rises else QueueState.OK)
        self._values = dict(values)
