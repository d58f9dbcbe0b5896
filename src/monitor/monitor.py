"""The queue monitor: looks every few seconds, judges, publishes, and tells."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from temporalio.service import RPCError

from contracts.queues import QueueState
from contracts.registry import Service
from monitor.board import Board, Row, unix_seconds
from monitor.delivery import Delivery
from monitor.incidents import Incidents
from monitor.judge import Verdict, first, judge
from monitor.links import Links
from monitor.metrics import LOOKS
from monitor.notices import TEMPORAL, notice
from monitor.observation import Observation
from monitor.waiting import Waiting, WaitingOrders
from monitor.watch import Watch
from telemetry.names import EVENT_ACTION, TASK_QUEUE

UNREACHABLE_SECONDS = 15.0
"""For how long the server must not have answered before people are told."""
_COUNT_WAITING_SECONDS = 10.0
"""How often the orders that wait for an unwell queue are counted anew."""
_COUNT_OLD_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Monitor:
    def __init__(
        self,
        services: Sequence[Service],
        *,
        watch: Watch,
        waiting_orders: WaitingOrders,
        board: Board,
        delivery: Delivery,
        incidents: Incidents,
        links: Links,
        order_too_old: timedelta,
    ) -> None:
        self._services = services
        self._watch = watch
        self._waiting_orders = waiting_orders
        self._board = board
        self._delivery = delivery
        self._incidents = incidents
        self._links = links
        self._order_too_old = order_too_old
        now_seconds = time.monotonic()
        self._verdicts = {service.name: first(now_seconds) for service in services}
        self._waiting: dict[str, Waiting] = {}
        self._counted_seconds = self._counted_old_seconds = float("-inf")
        self._unanswered_since_seconds: float | None = None

    async def run(self, every_seconds: float) -> None:
        """Until cancelled."""
        while True:
            began_seconds = time.monotonic()
            await self.look()
            await asyncio.sleep(max(0.0, began_seconds + every_seconds - time.monotonic()))

    async def look(self) -> None:
        """One look at all queues, and all that follows from it."""
        began_seconds = time.monotonic()
        seen = await self._watch.look(self._services)
        now_seconds = time.monotonic()
        answered = any(one is not None for one in seen.values())
        LOOKS.record(now_seconds - began_seconds, {"outcome": "answered" if answered else "unanswered"})
        before = self._verdicts
        self._verdicts = {
            service.name: judge(before[service.name], seen[service.name], now_seconds, service.thresholds)
            for service in self._services
        }
        if answered:
            await self._count(now_seconds, before)
        self._publish(seen, answered, now_seconds)
        for service in self._services:
            self._log_change(service, before[service.name], self._verdicts[service.name], seen[service.name])
        self._tell(seen, answered, now_seconds)

    async def _count(self, now_seconds: float, before: dict[str, Verdict]) -> None:
        """The orders that wait, for queues that are not well: at once when one has changed, else now and then."""
        unwell = [s for s in self._services if self._verdicts[s.name].state in _UNWELL]
        if now_seconds - self._counted_seconds >= _COUNT_WAITING_SECONDS:
            self._counted_seconds, due = now_seconds, unwell
        else:
            due = [s for s in unwell if self._verdicts[s.name].state is not before[s.name].state]
        kept = {s.name: self._waiting[s.name] for s in unwell if s.name in self._waiting and s not in due}
        self._waiting = kept | (await self._waiting_orders.of(due) if due else {})
        if now_seconds - self._counted_old_seconds >= _COUNT_OLD_SECONDS:
            self._counted_old_seconds = now_seconds
            try:
                self._board.orders_too_old = await self._waiting_orders.older_than(self._order_too_old)
            except RPCError as error:
                _log.warning("the old orders could not be counted: %s", error.message)

    def _publish(self, seen: dict[str, Observation | None], answered: bool, now_seconds: float) -> None:
        board = self._board
        board.rows = {
            service.name: Row(
                service,
                self._verdicts[service.name],
                seen[service.name],
                self._waiting.get(service.name) if self._verdicts[service.name].state is not QueueState.OK else None,
            )
            for service in self._services
        }
        board.temporal_up = answered
        board.ended_seconds = now_seconds
        if answered:
            board.answered_at = unix_seconds(now_seconds)

    def _log_change(self, service: Service, before: Verdict, after: Verdict, seen: Observation | None) -> None:
        if after.state is before.state:
            return
        fields: dict[str, object] = {
            EVENT_ACTION: "task-queue-state",
            TASK_QUEUE: service.task_queue,
            "orderflow.queue.service": service.name,
            "orderflow.queue.state": after.state.value,
            "orderflow.queue.state_before": before.state.value,
        }
        if seen is not None:
            fields |= {
                "orderflow.queue.backlog": seen.backlog,
                "orderflow.queue.oldest_seconds": round(seen.oldest_seconds, 3),
            }
        level = logging.INFO if after.state is QueueState.OK else logging.WARNING
        _log.log(level, "task queue %s is %s, was %s", service.task_queue, after.state, before.state, extra=fields)

    def _tell(self, seen: dict[str, Observation | None], answered: bool, now_seconds: float) -> None:
        if answered:
            self._unanswered_since_seconds = None
            self._turn(TEMPORAL, QueueState.OK, now_seconds, 0.0, now_seconds)
        elif self._unanswered_since_seconds is None:
            self._unanswered_since_seconds = now_seconds
        elif now_seconds - self._unanswered_since_seconds >= UNREACHABLE_SECONDS:
            self._turn(TEMPORAL, QueueState.UNKNOWN, self._unanswered_since_seconds, 0.0, now_seconds)
        for service in self._services:
            verdict, look = self._verdicts[service.name], seen[service.name]
            # Of a queue about which nothing is known there is nothing new to tell.
            if verdict.state is not QueueState.UNKNOWN:
                oldest_seconds = look.oldest_seconds if look else 0.0
                self._turn(service.name, verdict.state, verdict.since_seconds, oldest_seconds, now_seconds)

    def _turn(
        self, service: str, state: QueueState, since_seconds: float, oldest_seconds: float, now_seconds: float
    ) -> None:
        self._incidents, told = self._incidents.after(service, state, unix_seconds(since_seconds))
        if told is not None:
            at = unix_seconds(now_seconds)
            waiting = self._waiting.get(service)
            self._delivery.tell(self._incidents, notice(told, waiting, oldest_seconds, at, self._links))


_UNWELL = frozenset({QueueState.ABSENT, QueueState.ORPHANED, QueueState.STALLED})
