"""How the task queues' states are shown, and what follows from them. Pure."""

from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.text import Text

from cli.terminal import make_table
from contracts.queues import Queues, QueueState, QueueStatus

STALE_SECONDS = 15.0
"""An answer of Temporal that is older than this says nothing of now."""
_NARROW = 96
"""Columns below which a queue's service is left out where it bears the same name."""
_STYLES = {
    QueueState.OK: "green",
    QueueState.ABSENT: "yellow",
    QueueState.ORPHANED: "bold red",
    QueueState.STALLED: "bold red",
    QueueState.UNKNOWN: "bold yellow",
}


def is_stale(queues: Queues, now: datetime) -> bool:
    """Also when the answer seems to come from the future: clocks then differ, and its age is not known."""
    return queues.looked_at is None or abs((now - queues.looked_at).total_seconds()) > STALE_SECONDS


def all_ok(queues: Queues, now: datetime) -> bool:
    """Whether every queue is known to be ok, now."""
    states = [one.state for one in queues.queues]
    return bool(states) and all(state is QueueState.OK for state in states) and not is_stale(queues, now)


def view(queues: Queues, now: datetime, width: int) -> RenderableType:
    """The table for a window of `width` columns; below it what is wrong, and what to run."""
    stale = is_stale(queues, now)
    same = all(one.service == one.task_queue for one in queues.queues)
    brief = width < _NARROW and same
    headers = ("workers", "backlog", "oldest", "in/s", "out/s", "orders", "state", "since")
    table = make_table("queue", *(() if brief else ("service",)), *headers)
    for one in queues.queues:
        table.add_row(
            one.task_queue,
            *(() if brief else (one.service,)),
            _number(one.live_workers),
            _number(one.backlog),
            _duration(one.oldest_seconds) if one.backlog else "",
            _rate(one.added_per_second),
            _rate(one.dispatched_per_second),
            _number(one.waiting_orders),
            _state(one.state, stale=stale),
            _moment(one.since, now),
        )
    return Group(table, *(Text(line, "bold yellow") for line in advice(queues, now)))


def advice(queues: Queues, now: datetime) -> list[str]:
    """What is wrong, and what to run: a line for each unwell queue."""
    if queues.looked_at is None:
        return ["The monitor has had no answer from Temporal yet. Run: orderflow doctor"]
    if is_stale(queues, now):
        age = (now - queues.looked_at).total_seconds()
        told = f"{_duration(age)} ago" if age > 0 else f"{_duration(-age)} ahead of this machine's clock"
        seen = _moment(queues.looked_at, now)
        return [f"Not as of now: Temporal last answered at {seen} UTC, {told}. Run: orderflow doctor"]
    unknown = [one.service for one in queues.queues if one.state is QueueState.UNKNOWN]
    lines = [line for one in queues.queues if (line := _advice(one)) is not None]
    if unknown:
        why = "the monitor has just begun, or Temporal does not answer"
        lines.append(f"{', '.join(unknown)}: not known, {why}. Run: orderflow doctor")
    return lines


def _advice(one: QueueStatus) -> str | None:
    waiting = one.waiting_orders or 0
    wait = f", {waiting} {'order waits' if waiting == 1 else 'orders wait'}" if waiting else ""
    match one.state:
        case QueueState.ABSENT | QueueState.ORPHANED:
            return f"{one.service}: no live worker{wait}. Run: orderflow start {one.service}"
        case QueueState.STALLED:
            return f"{one.service}: tasks wait too long{wait}. Run: orderflow logs --service {one.service}"
        case _:
            return None


def _state(state: QueueState, *, stale: bool) -> Text:
    if stale and state is not QueueState.UNKNOWN:
        return Text(f"was {state}", "bold yellow")
    return Text(state, _STYLES[state])


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, length, up_to in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < up_to:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _moment(at: datetime, now: datetime) -> str:
    recent = abs(now - at) < timedelta(hours=20)
    return at.astimezone(UTC).strftime("%H:%M:%S" if recent else "%m-%d %H:%M")
