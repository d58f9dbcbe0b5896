"""How old a worker's newest heartbeat is, whatever its own clock says. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio.api.worker.v1 import WorkerHeartbeat


@dataclass(frozen=True, slots=True)
class _Beat:
    """All in seconds: `sent` by the worker's clock, the others by ours."""

    sent: float
    seen: float
    """When a look first found it."""
    not_yet: float | None
    """The look before, which did not; None when there was none."""
    offset: float | None
    """The least time between the worker's sending and our seeing, by those clocks; None before a second beat."""


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """What is known after a look. Workers may be on hosts whose clocks are wrong, or are set right meanwhile."""

    looked_seconds: float | None = None
    beats: Mapping[str, _Beat] = field(default_factory=dict)

    def after(self, listed: Mapping[str, WorkerHeartbeat], at_seconds: float) -> "Heartbeats":
        """With what a look at `at_seconds` (our clock) found: each worker's newest heartbeat, by its instance key."""
        return Heartbeats(at_seconds, {key: self._beat(key, beat, at_seconds) for key, beat in listed.items()})

    def age_seconds(self, key: str) -> float:
        """Of the worker's newest heartbeat, as of the last look."""
        assert self.looked_seconds is not None
        beat, now = self.beats[key], self.looked_seconds
        # Of a worker seen for the first time there is only its own clock to go by.
        age = now - beat.sent - (beat.offset if beat.offset is not None else 0.0)
        at_most = now - beat.not_yet if beat.not_yet is not None else age
        return max(min(age, at_most), now - beat.seen)

    def _beat(self, key: str, heartbeat: WorkerHeartbeat, now: float) -> _Beat:
        sent = heartbeat.heartbeat_time.ToNanoseconds() / 1e9
        known = self.beats.get(key)
        if known is None:
            return _Beat(sent, now, self.looked_seconds, None)
        if known.sent == sent:
            return known
        delay = now - sent
        return _Beat(sent, now, self.looked_seconds, delay if known.offset is None else min(delay, known.offset))
