"""What the `logs` command does."""

import os
import select
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import click

from cli.log_lines import LogLine, Logs
from service.settings import Settings, load
from telemetry.human import human

_POLL_MILLIS = 200


def logs(order_id: str | None, services: Sequence[str], follow: bool, as_json: bool) -> None:
    folder = load(Settings).data_dir / "logs"
    if not folder.is_dir():
        raise click.ClickException(f"there are no logs in {folder}/; ORDERFLOW_DATA_DIR says where to look")
    printer = _Printer(as_json, one_order=order_id is not None)
    try:
        with closing(Logs(folder, services, order_id)) as found:
            printer.print(found.so_far())
            if follow:
                _follow(found, printer)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read has seen enough. What is still in the buffer must not fail at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        if not printer.lines:
            raise click.ClickException(_none(folder, order_id))


def _follow(found: Logs, printer: "_Printer") -> None:
    """Until Ctrl-C, or until nobody reads what is written: an idle pipe that is closed is noticed too."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    while not reader.poll(_POLL_MILLIS):
        printer.print(found.new())


def _none(folder: Path, order_id: str | None) -> str:
    if order_id is None:
        return f"there are no log lines in {folder}/"
    return f"no log line in {folder}/ is of an order {order_id}"


class _Printer:
    def __init__(self, as_json: bool, *, one_order: bool) -> None:
        self._as_json = as_json
        self._one_order = one_order
        self._color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._day = ""
        self.lines = 0

    def print(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            self.lines += 1
            sys.stdout.write(f"{line.text if self._as_json else self._human(line)}\n")
        sys.stdout.flush()

    def _human(self, line: LogLine) -> str:
        """Its time has no date: that is told where it changes."""
        text = human(line.fields, color=self._color, order=not self._one_order)
        day = line.time[:10]
        if day == self._day:
            return text
        self._day = day
        return f"{day} (UTC)\n{text}"
