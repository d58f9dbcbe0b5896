"""What the doctor has found out, before any judgement. Plain data; times and ages in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from contracts.queues import Queues


class Kind(StrEnum):
    """What a worker asks a task queue for."""

    WORKFLOWS = "workflows"
    ACTIVITIES = "activities"


@dataclass(frozen=True, slots=True)
class Ahead:
    """How far a clock is ahead of this machine's: somewhere between these."""

    at_least_seconds: float
    at_most_seconds: float


@dataclass(frozen=True, slots=True)
class Worker:
    """One that sends heartbeats."""

    identity: str
    task_queue: str
    sdk: str
    host: str
    version: str | None = None
    """Of orderflow; None when it is not ours, or too old to say."""
    is_live: bool = True
    ahead: Ahead | None = None
    """None when it sent no heartbeat while the doctor listened."""


@dataclass(frozen=True, slots=True)
class Poller:
    """One that has polled in the last five minutes, dead or alive."""

    identity: str
    kind: Kind
    age_seconds: float


class Trouble(StrEnum):
    """Why Temporal can't be examined."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    NO_NAMESPACE = "no-namespace"


@dataclass(frozen=True, slots=True)
class Temporal:
    address: str
    namespace: str
    trouble: Trouble | None = None
    trouble_text: str = ""
    workers: tuple[Worker, ...] = ()
    pollers: Mapping[str, tuple[Poller, ...]] = field(default_factory=dict)
    """By registered task queue."""
    search_attributes: Mapping[str, str] | None = None
    """Name and type; None when the server does not tell."""
    ahead: Ahead | None = None
    """The server's clock; None when it could not be measured."""

    @property
    def live_workers(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.is_live]


@dataclass(frozen=True, slots=True)
class Api:
    url: str
    is_reachable: bool
    version: str | None = None
    trouble: str | None = None
    """Why it does not tell the queues."""


@dataclass(frozen=True, slots=True)
class Monitor:
    url: str
    queues: Queues | None
    """What it tells, asked through the API or else directly; None when neither answers."""


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine, as far as the embedded platform is concerned."""

    is_up: bool
    """Whether a platform is up in the data folder."""
    data_dir: Path
    not_writable: str | None = None
    """Why the data folder can't be written to."""
    taken_ports: Mapping[int, str] = field(default_factory=dict)
    """Ports that others hold though no platform is up, with the setting that changes each."""


@dataclass(frozen=True, slots=True)
class Facts:
    at: datetime
    version: str
    """Of this command."""
    temporal: Temporal
    api: Api
    monitor: Monitor
    machine: Machine
