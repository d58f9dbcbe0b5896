"""Workers that have begun to poll and of which no heartbeat has come yet. Pure.

The first heartbeat may take 5 s. The list of pollers, which is no sign of life of a worker that has been there for a
while, is one of a worker that was not there before.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Of one task queue. Moments are seconds on one clock."""

    seen_at: Mapping[str, float] | None = None
    """When a look first found each poller, by its identity; None before the first look."""

    def after(self, polling: Collection[str], at_seconds: float) -> "Newcomers":
        """With what a look found. Who is there at the first look may have died long ago, and is nobody new."""
        if self.seen_at is None:
            return Newcomers(dict.fromkeys(polling, -inf))
        return Newcomers({identity: self.seen_at.get(identity, at_seconds) for identity in polling})

    def ages_seconds(self, heard_of: Collection[str], at_seconds: float) -> list[float]:
        """How long ago each was first seen, of those that no heartbeat has told of."""
        return [at_seconds - seen for identity, seen in (self.seen_at or {}).items() if identity not in heard_of]
