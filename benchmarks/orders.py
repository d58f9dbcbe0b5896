"""Orders through the platform, beside the bare ceiling on the same Temporal server.

Rounds of the two alternate, so that a machine that gets slower or faster does so for both.
"""

import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import report
from benchmarks.bare import running_bare_workers
from benchmarks.load import PlaceAndWait, place_orders, through_api, through_temporal
from benchmarks.ours import running_platform
from benchmarks.processes import GENERATOR, TEMPORAL, Processes
from benchmarks.results import BARE, OURS, Results, Round

_IDLE_SECONDS = 10.0
_SETTLING_SECONDS = 3.0
"""For what Temporal still does after the last order's end."""

# Wide enough for the tables where the output is no terminal.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


@dataclass(frozen=True, slots=True)
class Subject:
    """What orders are sent to, and the processes that do them."""

    name: str
    orders: Callable[[], AbstractAsyncContextManager[PlaceAndWait]]
    processes: Processes


@dataclass(frozen=True, slots=True)
class Plan:
    """`loads` is how many orders to place at how many open at once."""

    rounds: int
    loads: Sequence[tuple[int, int]]
    warm_up_orders: int
    most_seconds: float
    """No round begins after this."""


def measure(subjects: Sequence[Subject], plan: Plan) -> Results:
    """Place the orders of `plan`, and account for them. Raises IncompleteOrder when one was not completed."""
    began = time.monotonic()
    for subject in subjects:
        _round(subject, plan.warm_up_orders, 4)
    idle = {subject.name: _idle(subject.processes) for subject in subjects}
    rounds: list[Round] = []
    for number in range(1, plan.rounds + 1):
        if rounds and time.monotonic() - began > plan.most_seconds:
            console.print(f"Time is up after {number - 1} rounds.", style="yellow")
            break
        for orders, open_orders in plan.loads:
            for subject in subjects:
                one = _round(subject, orders, open_orders)
                rounds.append(one)
                _tell(number, one)
    return Results(rounds, idle, {subject.name: subject.processes.memory() for subject in subjects})


def _round(subject: Subject, orders: int, open_orders: int) -> Round:
    async def run() -> Round:
        async with subject.orders() as place:
            before, began = subject.processes.cpu_seconds(), time.perf_counter()
            latencies = await place_orders(place, orders, open_orders)
            seconds, after = time.perf_counter() - began, subject.processes.cpu_seconds()
        return Round(subject.name, open_orders, orders, seconds, latencies, _difference(before, after))

    return asyncio.run(run())


def _idle(processes: Processes) -> dict[str, float]:
    """CPU seconds a second while nothing is asked of them."""
    time.sleep(_SETTLING_SECONDS)
    before = processes.cpu_seconds()
    time.sleep(_IDLE_SECONDS)
    return {name: used / _IDLE_SECONDS for name, used in _difference(before, processes.cpu_seconds()).items()}


def _difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in before}


def _tell(number: int, one: Round) -> None:
    console.print(
        f"round {number}: {one.orders:4} orders, {one.open_orders:2} open, {one.subject:9} "
        f"{one.orders_per_second:5.1f} orders/s, {one.latency_median_ms:5.0f} ms each; CPU/order: "
        f"{one.own_cpu_ms:5.1f} ms own, {one.temporal_cpu_ms:5.1f} ms Temporal, "
        f"{one.cpu_ms(GENERATOR):4.1f} ms load generator; others took {one.others_share:4.0%} of a CPU",
        style="dim",
        soft_wrap=True,
    )


def _pairs(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    if any("=" not in one for one in given):
        raise click.BadParameter("must be NAME=VALUE")
    return dict(one.split("=", 1) for one in given)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's, by their names."""

    rounds: int
    lone_orders: int
    busy_orders: int
    open_orders: int
    most_minutes: float
    settings: Mapping[str, str]
    markdown: Path | None
    json_file: Path | None

    def plan(self) -> Plan:
        loads = [(self.lone_orders, 1), (self.busy_orders, self.open_orders)]
        return Plan(self.rounds, loads, warm_up_orders=20, most_seconds=self.most_minutes * 60)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rounds", default=3, type=click.IntRange(1), help="How often each measurement is repeated.")
@click.option("--lone-orders", default=60, type=click.IntRange(2), help="Orders a round, one open at a time.")
@click.option("--busy-orders", default=300, type=click.IntRange(2), help="Orders a round, several open at once.")
@click.option("--open", "open_orders", default=20, type=click.IntRange(2), help="How many are open at once, then.")
@click.option("--most-minutes", default=4.0, help="No further round is begun after this time.")
@click.option("--setting", "settings", multiple=True, callback=_pairs, help="NAME=VALUE for the platform; repeatable.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables to this file.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write each round to it.")
def main(**given: Any) -> None:
    """Measure the platform's CPU, memory and speed for each order, beside the least that Temporal itself costs."""
    options = Options(**given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Leave nothing running.
    results = run(options)
    found = report.tables(results)
    console.print(f"\nPython {platform.python_version()}, {os.cpu_count()} CPUs. Medians of the rounds.\n")
    for table in found:
        report.show(table, console)
    if options.markdown:
        options.markdown.write_text(report.markdown(found))
    if options.json_file:
        options.json_file.write_text(report.as_json(results))


def run(options: Options) -> Results:
    """Bring both up, measure, and take both down."""
    console.print("Starting the platform and the bare workers …", style="dim")
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as data_dir,
        running_platform(Path(data_dir), options.settings) as ours,
        running_bare_workers(ours.temporal_address) as bare_pids,
    ):
        bare = Processes({TEMPORAL: ours.pids[TEMPORAL], **bare_pids})
        subjects = [
            Subject(OURS, lambda: through_api(ours.api_url), Processes(ours.pids)),
            Subject(BARE, lambda: through_temporal(ours.temporal_address), bare),
        ]
        return measure(subjects, options.plan())


if __name__ == "__main__":
    main()
