"""When a service really had no worker, by the workers' own log lines: what an alarm is held against. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.queues import QueueState
from contracts.registry import Thresholds
from monitor.notices import Notice

_CHANGES = {"worker-started": 1, "worker-stopping": -1}
_NOTICED = timedelta(seconds=6)
"""The server caches what it says of a queue for 5 s: an alarm may come when the worker is just back."""
_SECONDS = {
    QueueState.ORPHANED: Thresholds().orphaned_seconds,
    QueueState.ABSENT: Thresholds().absent_seconds,
}


@dataclass(frozen=True, slots=True)
class Outage:
    """No worker took tasks between these; `ended` is None while none does."""

    began: datetime
    ended: datetime | None

    def seconds(self, until: datetime) -> float:
        return ((self.ended or until) - self.began).total_seconds()


def outages(lines: Iterable[str]) -> dict[str, list[Outage]]:
    """By service, from log lines of all processes."""
    found: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for line in lines:
        told = json.loads(line)
        change = _CHANGES.get(told.get("event.action"))
        if change is not None:
            found[told["service.name"]].append((datetime.fromisoformat(told["@timestamp"]), change))
    return {service: _gaps(sorted(changes)) for service, changes in found.items()}


def _gaps(changes: Sequence[tuple[datetime, int]]) -> list[Outage]:
    workers, since = 0, None
    gaps = []
    for at, change in changes:
        workers += change
        if workers == 0:
            since = at
        elif since is not None:
            gaps.append(Outage(since, at))
            since = None
    return gaps if since is None else [*gaps, Outage(since, None)]


def is_true(notice: Notice, known: Mapping[str, Sequence[Outage]]) -> bool:
    """Whether a firing notice tells of an outage as long as the registry's threshold for it."""
    needed = _SECONDS.get(notice.queue_state)
    return needed is not None and any(
        outage.began <= notice.at
        and (outage.ended is None or notice.at - outage.ended <= _NOTICED)
        and outage.seconds(notice.at) >= needed
        for outage in known.get(notice.service, [])
    )
