"""How a task queue does: what the queue monitor tells of it, and the API and the command line hand on."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field


class QueueState(StrEnum):
    OK = "ok"
    ABSENT = "absent"
    """No live worker; nothing waits yet."""
    ORPHANED = "orphaned"
    """No live worker, and tasks wait."""
    STALLED = "stalled"
    """Workers live, and yet tasks wait too long."""
    UNKNOWN = "unknown"
    """The server can't be asked. Never taken for ok."""


class QueueStatus(BaseModel):
    """One task queue. What is known only from a look is null while the server can't be asked."""

    task_queue: str
    service: str = Field(description="The service whose worker serves it.")
    state: QueueState
    since: datetime = Field(description="When the state began.")
    live_workers: int | None = None
    heartbeat_age_seconds: float | None = Field(default=None, description="Of the newest sign of life of any worker.")
    backlog: int | None = Field(default=None, description="Tasks that wait; approximate.")
    oldest_seconds: float | None = Field(default=None, description="How long the oldest of them has waited.")
    added_per_second: float | None = None
    dispatched_per_second: float | None = None
    waiting_orders: int | None = Field(default=None, description="Orders that can't go on while the queue is unwell.")
    oldest_order_ids: list[str] = Field(default=[], description="Of those, the ten that began first.")


class Queues(BaseModel):
    """All queues of the service registry, as of the monitor's newest look."""

    looked_at: datetime | None = Field(description="When the Temporal server last answered; null for never.")
    queues: list[QueueStatus]
