"""What the newest look found, for whoever asks: metrics and `GET /queues`. Plain data."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts.queues import Queues, QueueStatus
from contracts.registry import Service
from monitor.judge import FRESH_SECONDS, Verdict
from monitor.observation import Observation
from monitor.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Row:
    """One queue. Moments are on the monitor's monotonic clock, as those of its verdict."""

    service: Service
    verdict: Verdict
    seen: Observation | None
    waiting: Waiting | None
    """Known only while the queue is not well."""

    @property
    def task_queue(self) -> str:
        assert self.service.task_queue is not None
        return self.service.task_queue

    @property
    def live_workers(self) -> int | None:
        return self.seen.live_workers(FRESH_SECONDS) if self.seen else None

    @property
    def since(self) -> float:
        """When the state began, as a Unix time in seconds."""
        return unix_seconds(self.verdict.since_seconds)

    def status(self) -> QueueStatus:
        seen = self.seen
        return QueueStatus(
            task_queue=self.task_queue,
            service=self.service.name,
            state=self.verdict.state,
            since=datetime.fromtimestamp(self.since, UTC),
            live_workers=self.live_workers,
            heartbeat_age_seconds=_rounded(seen.silence_seconds if seen else None),
            backlog=seen.backlog if seen else None,
            oldest_seconds=_rounded(seen.oldest_seconds if seen else None),
            added_per_second=_rounded(seen.added_per_second if seen else None),
            dispatched_per_second=_rounded(seen.dispatched_per_second if seen else None),
            waiting_orders=self.waiting.orders if self.waiting else None,
            oldest_order_ids=[order_id for order_id, _ in self.waiting.oldest] if self.waiting else [],
        )


@dataclass
class Board:
    """Each field is replaced whole, so that a scrape in another thread sees one look."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    """By service."""
    answered_at: float | None = None
    """Unix time in seconds of the last look that the server answered."""
    ended_seconds: float | None = None
    """When the last look ended, answered or not, on the monotonic clock."""
    temporal_up: bool = False
    orders_too_old: int | None = None

    def queues(self) -> Queues:
        looked_at = datetime.fromtimestamp(self.answered_at, UTC) if self.answered_at is not None else None
        return Queues(looked_at=looked_at, queues=[row.status() for row in self.rows.values()])


def unix_seconds(monotonic_seconds: float) -> float:
    return time.time() - (time.monotonic() - monotonic_seconds)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
