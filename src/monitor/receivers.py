"""Where notifications go. Always: a line in `<data>/alerts.jsonl`."""

import os
from pathlib import Path
from typing import Protocol

from monitor.notices import Notice

_TAIL_BYTES = 1024 * 1024


class NotDelivered(Exception):
    """The receiver did not take it; it is tried again."""


class Receiver(Protocol):
    @property
    def name(self) -> str:
        """The same over restarts, and no secret."""

    async def deliver(self, notice: Notice) -> None:
        """Raises NotDelivered."""


class AlertsFile:
    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def deliver(self, notice: Notice) -> None:
        try:
            self._append(notice)
        except OSError as error:
            raise NotDelivered(error.strerror) from None

    def _append(self, notice: Notice) -> None:
        line = notice.model_dump_json().encode() + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            written = file.read()
            # A process that was killed between the writing and the noting of it must not write it twice.
            if line in written:
                return
            file.write(line if not written or written.endswith(b"\n") else b"\n" + line)
