"""What the monitor must not forget over a restart: what is firing, and what is not delivered yet."""

import logging
import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from monitor.incidents import Incident, Incidents
from monitor.notices import Notice

_log = logging.getLogger(__name__)


class _Kept(BaseModel):
    firing: dict[str, Incident] = {}
    undelivered: dict[str, list[Notice]] = {}
    """By receiver, the oldest first."""


class Journal:
    """One small file, replaced whole at each change."""

    def __init__(self, path: Path) -> None:
        """Reads what an earlier process has left. A file that can't be read is put aside."""
        self._path = path
        self._kept = _Kept()
        try:
            self._kept = _Kept.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            pass
        except ValidationError as error:
            aside = path.with_suffix(".unreadable")
            path.replace(aside)
            _log.error("the monitor's journal can't be read and was put aside as %s: %s", aside.name, error)

    @property
    def incidents(self) -> Incidents:
        return Incidents(self._kept.firing)

    def undelivered(self, receiver: str) -> list[Notice]:
        return list(self._kept.undelivered.get(receiver, []))

    @property
    def waiting(self) -> int:
        """Deliveries that are still to be made."""
        return sum(len(notices) for notices in self._kept.undelivered.values())

    def forget_others(self, receivers: set[str]) -> None:
        """Receivers that are no longer set get nothing any more."""
        gone = self._kept.undelivered.keys() - receivers
        if any(self._kept.undelivered[name] for name in gone):
            _log.warning("notifications to receivers that are no longer set are dropped")
        for name in gone:
            del self._kept.undelivered[name]

    def note(self, incidents: Incidents, notice: Notice, receivers: set[str]) -> None:
        """The incidents and what is to be told of them, in one write."""
        self._kept.firing = dict(incidents.firing)
        for name in receivers:
            self._kept.undelivered.setdefault(name, []).append(notice)
        self._write()

    def delivered(self, receiver: str, notice: Notice) -> None:
        left = self._kept.undelivered.get(receiver, [])
        self._kept.undelivered[receiver] = [other for other in left if other.id != notice.id]
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        with new.open("w") as file:
            file.write(self._kept.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
