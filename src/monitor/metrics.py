"""The queues' states as metrics, in the manner of kube-state-metrics: one series a state, 1 for the one that holds."""

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Observation, get_meter

from contracts.queues import QueueState
from monitor.board import Board, Row

Labels = dict[str, str]
Read = Callable[[Row], Iterable[tuple[float, Labels]]]
"""From a queue's row to values, each with its labels beside the queue and the service."""

_meter = get_meter("orderflow")

LOOKS = _meter.create_histogram("orderflow.monitor.look.duration", "s", "One look at all queues, by outcome.")
NOTIFICATIONS = _meter.create_counter(
    "orderflow.monitor.notifications", "{notification}", "Attempts to deliver a notification, by outcome."
)


def publish(board: Board, calls: Callable[[], int], undelivered: Callable[[], int]) -> None:
    """Registers the instruments; they read the board, and how many calls were made, at each scrape."""
    queue_gauges: tuple[tuple[str, str, str, Read], ...] = (
        ("state", "", "1 for the state that holds, 0 for the others.", _states),
        ("state.since", "s", "Unix time at which the state that holds began.", lambda row: [(row.since, {})]),
        ("backlog", "{task}", "Tasks that wait.", lambda row: _known(row.seen.backlog if row.seen else None)),
        (
            *("oldest.age", "s", "How long the oldest task has waited."),
            lambda row: _known(row.seen.oldest_seconds if row.seen else None),
        ),
        ("live_workers", "{worker}", "Workers with a fresh heartbeat.", lambda row: _known(row.live_workers)),
        (
            *("heartbeat.age", "s", "Of the newest sign of life of any worker."),
            lambda row: _known(row.seen.silence_seconds if row.seen else None),
        ),
        (
            *("waiting_orders", "{order}", "Orders that can't go on; only while the queue is not well."),
            lambda row: _known(row.waiting.orders if row.waiting else None),
        ),
        (
            *("waiting_order.start", "s", "Unix time at which each of the ten oldest of those orders began."),
            _oldest_orders,
        ),
    )
    for name, unit, description, read in queue_gauges:
        _meter.create_observable_gauge(f"orderflow.task_queue.{name}", [_of_each_queue(board, read)], unit, description)
    for name, unit, description, value in (
        ("orderflow.monitor.temporal_up", "", "Whether the Temporal server answers.", lambda: int(board.temporal_up)),
        (
            *("orderflow.monitor.last_look.time", "s", "Unix time of the last look that the server answered."),
            lambda: board.answered_at,
        ),
        (
            *("orderflow.monitor.notifications.waiting", "{notification}", "Deliveries that are still to be made."),
            undelivered,
        ),
        ("orderflow.orders.too_old", "{order}", "Running orders that take too long.", lambda: board.orders_too_old),
    ):
        _meter.create_observable_gauge(name, [_single(value)], unit, description)
    _meter.create_observable_counter(
        "orderflow.monitor.server_calls", [_single(calls)], "{call}", "Calls to the Temporal server."
    )


def _states(row: Row) -> Iterable[tuple[float, Labels]]:
    return [(int(row.verdict.state is state), {"state": state.value}) for state in QueueState]


def _oldest_orders(row: Row) -> Iterable[tuple[float, Labels]]:
    oldest = row.waiting.oldest if row.waiting else ()
    return [(start.timestamp(), {"order_id": order_id}) for order_id, start in oldest]


def _known(value: float | None) -> Iterable[tuple[float, Labels]]:
    return [] if value is None else [(value, {})]


def _of_each_queue(board: Board, read: Read) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(value, {"task_queue": row.task_queue, "service": row.service.name, **labels})
            for row in board.rows.values()
            for value, labels in read(row)
        ]

    return observe


def _single(value: Callable[[], float | None]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(point) for point, _labels in _known(value())]

    return observe
