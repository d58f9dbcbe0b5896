"""From changes of state to what people are told: each firing once, each resolution once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from contracts.queues import QueueState

ALERTS: Mapping[QueueState, str] = {
    QueueState.ABSENT: "TaskQueueAbsent",
    QueueState.ORPHANED: "TaskQueueOrphaned",
    QueueState.STALLED: "TaskQueueStalled",
    QueueState.UNKNOWN: "TemporalUnreachable",
}
"""What an incident is called, here and in Prometheus' rules. Unknown is told once for the server, not once a queue."""


class Turn(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Incident:
    """`service` is not well. `since` is a Unix time in seconds, so that it outlives the monitor."""

    service: str
    state: QueueState
    since: float
    began: float
    """When the service was first not well; the same while the incident gets worse or better."""

    @property
    def alert(self) -> str:
        return ALERTS[self.state]

    @property
    def id(self) -> str:
        return f"{self.service}@{self.began:.0f}"


@dataclass(frozen=True, slots=True)
class Told:
    turn: Turn
    incident: Incident


@dataclass(frozen=True, slots=True)
class Incidents:
    """What is firing, by service."""

    firing: Mapping[str, Incident] = field(default_factory=dict)

    def after(self, service: str, state: QueueState, since: float) -> tuple["Incidents", Told | None]:
        """The incidents once `service` is in `state` since then, and what is to be told.

        An incident that turns into another (absent, then orphaned) fires again under its new name and goes on; it is
        resolved once, at its end.
        """
        before = self.firing.get(service)
        if before is not None and before.state is state:
            return self, None
        others = {name: incident for name, incident in self.firing.items() if name != service}
        if state is QueueState.OK:
            return Incidents(others), Told(Turn.RESOLVED, before) if before else None
        incident = Incident(service, state, since, before.began if before else since)
        return Incidents({**others, service: incident}), Told(Turn.FIRING, incident)
