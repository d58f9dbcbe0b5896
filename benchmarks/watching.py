"""The monitor's own parts, put together over queues that are made up."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client

from contracts.registry import Service, Step
from monitor.board import Board
from monitor.delivery import Delivery
from monitor.journal import Journal
from monitor.links import Links
from monitor.monitor import Monitor
from monitor.receivers import Receiver
from monitor.settings import MonitorSettings
from monitor.waiting import WaitingOrders
from monitor.watch import Watch

EVERY_SECONDS: float = MonitorSettings.model_fields["monitor_interval_seconds"].default


@dataclass(frozen=True, slots=True)
class Watching:
    monitor: Monitor
    delivery: Delivery
    watch: Watch
    board: Board


def step_service(name: str) -> Service:
    """A service as those of the registry's steps: its queue has activities only."""
    return Service(name, 0, task_queue=name, step=Step(name, "never", "do_nothing", None))


def watching(client: Client, services: Sequence[Service], receivers: Sequence[Receiver], folder: Path) -> Watching:
    """As in the monitor's own composition root. What it must not forget is kept in `folder`."""
    logging.getLogger("monitor").setLevel(logging.ERROR)  # What it would tell of each change is told by the benchmark.
    board, watch = Board(), Watch(client)
    journal = Journal(folder / "monitor.json")
    delivery = Delivery(receivers, journal)
    monitor = Monitor(
        services,
        watch=watch,
        waiting_orders=WaitingOrders(client),
        board=board,
        delivery=delivery,
        incidents=journal.incidents,
        links=Links(),
        order_too_old=timedelta(hours=1),
    )
    return Watching(monitor, delivery, watch, board)
