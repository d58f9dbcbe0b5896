"""From changes of state to what people are told: each firing once, each resolution once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from contracts.queues import QueueState

TOLD = frozenset({QueueState.ABSENT, QueueState.ORPHANED, QueueState.STALLED})
"""The states that people are told of. Unknown is told once for the server, not once a queue."""


class Turn(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Incident:
    """A queue that is not well. `since` is a Unix time in seconds, so that it outlives the monitor."""

    service: str
    state: QueueState
    since: float


@dataclass(frozen=True, slots=True)
class Told:
    turn: Turn
    incident: Incident


@dataclass(frozen=True, slots=True)
class Incidents:
    """What is firing, by service. A worsened incident (absent, then orphaned) fires again under its new state."""

    firing: Mapping[str, Incident] = field(default_factory=dict)

    def after(self, service: str, state: QueueState, since: float) -> tuple["Incidents", list[Told]]:
        """The incidents once `service`'s queue is in `state` since then, and what is to be told."""
        before = self.firing.get(service)
        if state is QueueState.UNKNOWN or (before is not None and before.state is state):
            return self, []
        others = {name: incident for name, incident in self.firing.items() if name != service}
        if state not in TOLD:
            return Incidents(others), [Told(Turn.RESOLVED, before)] if before else []
        incident = Incident(service, state, before.since if before else since)
        # The old one is not resolved by getting worse or better: the new one takes its place.
        return Incidents({**others, service: incident}), [Told(Turn.FIRING, incident)]
