"""What one look at one task queue saw. Plain data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """Ages and rates as the server has them; seconds, and tasks a second."""

    backlog: int
    """Tasks that wait, over all types of the queue. Approximate."""
    oldest_seconds: float
    """How long the oldest of them has waited; 0 when none waits."""
    ages_seconds: tuple[float, ...] = ()
    """Of the newest sign of life of each worker that serves this queue and is not shutting down: its last heartbeat,
    or, until the first one comes, when it was first seen to poll."""
    has_free_slots: bool = True
    """Whether any of them last said that it could take a task more."""
    added_per_second: float = 0.0
    dispatched_per_second: float = 0.0

    def live_workers(self, fresh_seconds: float) -> int:
        """Workers whose newest sign of life is fresh."""
        return sum(age <= fresh_seconds for age in self.ages_seconds)

    @property
    def silence_seconds(self) -> float | None:
        """Since the newest sign of life of any worker; None when the server knows of no worker."""
        return min(self.ages_seconds, default=None)
