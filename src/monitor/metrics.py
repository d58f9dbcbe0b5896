"""The queues' states as metrics, in the manner of kube-state-metrics: one series a state, 1 for the one that holds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from opentelemetry.metrics import CallbackOptions, get_meter
from opentelemetry.metrics import Observation as Point

from contracts.queues import QueueState
from monitor.judge import FRESH_SECONDS, Verdict
from monitor.observation import Observation

Callback = Callable[[CallbackOptions], Iterable[Point]]


@dataclass
class Board:
    """What the newest look found, by service. Replaced whole, so that a scrape in another thread sees one look."""

    queues: Mapping[str, tuple[str, Verdict, Observation | None]] = field(default_factory=dict)
    """Task queue, verdict, and what was seen, by service."""
    waiting_orders: Mapping[str, int] = field(default_factory=dict)
    looked_at: float = 0.0
    """Unix time of the last look that the server answered; 0 for never."""


def publish(board: Board) -> None:
    """Registers the instruments; they read `board` at each scrape."""
    meter = get_meter("orderflow")
    meter.create_observable_gauge(
        "orderflow.task_queue.state", [_states(board)], "", "1 for the state that holds, 0 for the others."
    )
    for name, unit, description, read in (
        ("backlog", "{task}", "Tasks that wait.", lambda seen: seen.backlog),
        ("oldest.age", "s", "How long the oldest task has waited.", lambda seen: seen.oldest_seconds),
        ("live_workers", "{worker}", "Workers with a fresh heartbeat.", lambda seen: seen.live_workers(FRESH_SECONDS)),
    ):
        meter.create_observable_gauge(f"orderflow.task_queue.{name}", [_seen(board, read)], unit, description)
    meter.create_observable_gauge(
        "orderflow.monitor.last_look.time", [lambda _: [Point(board.looked_at)]], "s", "Unix time of the last answer."
    )


def _states(board: Board) -> Callback:
    def observe(_: CallbackOptions) -> Iterable[Point]:
        return [
            Point(int(verdict.state is state), {"task_queue": queue, "service": service, "state": state.value})
            for service, (queue, verdict, _seen_) in board.queues.items()
            for state in QueueState
        ]

    return observe


def _seen(board: Board, read: Callable[[Observation], float]) -> Callback:
    def observe(_: CallbackOptions) -> Iterable[Point]:
        return [
            Point(read(seen), {"task_queue": queue, "service": service})
            for service, (queue, _verdict, seen) in board.queues.items()
            if seen is not None
        ]

    return observe
