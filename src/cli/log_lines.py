"""The log files of a data folder, read as one: our services' lines in the order of their times."""

import heapq
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

from telemetry.names import ORDER_ID

_OUT_OF_ORDER = 100
"""Threads of one process may overtake each other on the way to its file, by a few lines at most."""


@dataclass(frozen=True, slots=True, order=True)
class LogLine:
    """Lines are ordered by time, and within a millisecond by id."""

    time: str
    id: str
    text: str = field(compare=False)
    """As it was written."""
    fields: Mapping[str, Any] = field(compare=False)


def parse(raw: bytes, order_id: str | None = None) -> LogLine | None:
    """None for what is no line of ours, and for the lines of other orders when `order_id` is given."""
    # Most lines are of other orders, and parsing costs ten times as much as this look.
    if order_id is not None and order_id.encode() not in raw:
        return None
    try:
        fields = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not isinstance(time := fields.get("@timestamp"), str):
        return None
    if order_id is not None and fields.get(ORDER_ID) != order_id:
        return None
    return LogLine(time, str(fields.get("event.id", "")), raw.decode().rstrip("\n"), fields)


def in_order(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Lines that are out of order by a few places at most, put right."""
    waiting: list[LogLine] = []
    for line in lines:
        if len(waiting) < _OUT_OF_ORDER:
            heapq.heappush(waiting, line)
        else:
            yield heapq.heappushpop(waiting, line)
    yield from sorted(waiting)


class LogFile:
    """A file that grows, and is now and then rotated away or emptied. It need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def read(self) -> Iterator[bytes]:
        """The complete lines since the last read, or since the beginning of the current file."""
        if self._file is None and not self.open():
            return
        while True:
            yield from self._complete_lines()
            if not self._is_replaced():
                return
            # What was still written between that look and the rotation.
            yield from self._complete_lines()
            if not self.open():
                return

    def open(self) -> bool:
        """Begin with the file that is now at the path, if there is one."""
        try:
            opened = self.path.open("rb")
        except FileNotFoundError:
            return False
        self.close()
        self._file = opened
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def older(self, opened: ExitStack) -> list[BinaryIO]:
        """What was rotated away, oldest first, opened at once: a rotation while they are read must not matter."""
        seen = {_identity(self._file)} if self._file is not None else set()
        found: list[BinaryIO] = []
        for number in count(1):
            try:
                one = opened.enter_context(self.path.with_name(f"{self.path.name}.{number}").open("rb"))
            except FileNotFoundError:
                return found[::-1]
            # One that a rotation has just moved on comes by a second time.
            if _identity(one) not in seen:
                seen.add(_identity(one))
                found.append(one)
        raise AssertionError

    def _complete_lines(self) -> Iterator[bytes]:
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
        while line := self._file.readline():
            if not line.endswith(b"\n"):
                self._file.seek(-len(line), os.SEEK_CUR)  # Half-written: whole at a later look.
                return
            yield line

    def _is_replaced(self) -> bool:
        assert self._file is not None
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) != _identity(self._file)


class Logs:
    """The lines of some services, of one order or of all."""

    def __init__(self, folder: Path, services: Sequence[str], order_id: str | None = None) -> None:
        self._files = [LogFile(folder / f"{service}.jsonl") for service in services]
        self._order_id = order_id

    def so_far(self) -> Iterator[LogLine]:
        """All lines there are, read as they are asked for."""
        with ExitStack() as opened:
            streams = []
            for file in self._files:
                file.open()
                streams.append(in_order(self._parsed(chain(*file.older(opened), file.read()))))
            yield from heapq.merge(*streams)

    def new(self) -> list[LogLine]:
        """The lines since `so_far` ended, or since the last call."""
        return sorted(chain.from_iterable(self._parsed(file.read()) for file in self._files))

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _parsed(self, raws: Iterable[bytes]) -> Iterator[LogLine]:
        return (line for raw in raws if (line := parse(raw, self._order_id)) is not None)


def _identity(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino
