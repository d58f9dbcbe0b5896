"""How soon the queue monitor tells that a worker is gone, and that it is back, beside the usual rules.

All run at the same time on one server and the same queues. Each run has a queue and a worker process of its own.
"""

import asyncio
import dataclasses
import itertools
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import click
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks import report
from benchmarks.bare_worker import do_nothing
from benchmarks.orders import console
from benchmarks.processes import family_cpu_seconds, machine_cpu_seconds
from benchmarks.report import Table
from benchmarks.rules import CounterRule, Notifications, PollersRule, Said
from benchmarks.server import Server, running_temporal
from benchmarks.watching import EVERY_SECONDS, Watching, step_service, watching
from contracts.queues import QueueState

MONITOR = "monitor"
POLLERS = "pollers"
COUNTER = "counter"
RULES = (MONITOR, POLLERS, COUNTER)
BACK_BOUND_SECONDS = 15.0

_DRIVER_QUEUE = "driver"
_STARTING_AT_ONCE = 2
"""Workers that start: each takes a CPU for a second."""
_NEVER_STARTED_SECONDS = 70.0
"""A queue without a worker counts as absent after a minute's grace; the first task comes later."""
_WELL_SECONDS = 180.0
_READY_SECONDS = 120.0
_BACK_SECONDS = 180.0
_ORPHANED = frozenset({QueueState.ORPHANED})
_UNSERVED = frozenset({QueueState.ABSENT, QueueState.ORPHANED})
_HUNG = frozenset({QueueState.STALLED, QueueState.ORPHANED})
_OK = frozenset({QueueState.OK})


class What(StrEnum):
    IDLE = "killed, nothing waits"
    BEFORE = "killed 20–40 s before the first task"
    SAME = "killed, and the first task at once"
    STOPPED = "stopped 0–10 s before the first task"
    NEVER = "never started, the first task"
    HUNG = "hung (SIGSTOP), and tasks"


@dataclass(frozen=True, slots=True)
class Scenario:
    what: What
    wanted: Collection[QueueState]
    bound_seconds: float


SCENARIOS = (
    Scenario(What.IDLE, _UNSERVED, 20.0),
    Scenario(What.BEFORE, _ORPHANED, 15.0),
    Scenario(What.SAME, _ORPHANED, 15.0),
    Scenario(What.STOPPED, _ORPHANED, 15.0),
    Scenario(What.NEVER, _ORPHANED, 15.0),
    Scenario(What.HUNG, _HUNG, 75.0),
)


@dataclass(frozen=True, slots=True)
class Run:
    """All in seconds; None for never."""

    what: What
    queue: str
    told: Mapping[str, float | None]
    """By rule: from the kill, or the first task, to its saying so."""
    back: Mapping[str, float | None]
    """By rule: from the new worker process's start to its saying that all is well; only of those that had told."""
    polls: float
    """From that start to the worker's first poll."""


@workflow.defn
class OneTask:
    @workflow.run
    async def run(self, queue: str) -> None:
        """An empty activity in `queue`."""
        await workflow.execute_activity(do_nothing, task_queue=queue, start_to_close_timeout=timedelta(seconds=30))


class Experiment:
    def __init__(self, server: Server, client: Client, most_seconds: float) -> None:
        self._server = server
        self._client = client
        self._most_seconds = most_seconds
        self._turns = asyncio.Semaphore(_STARTING_AT_ONCE)
        self._workers: list[asyncio.subprocess.Process] = []
        self._began = time.monotonic()
        self._watching: dict[str, Watching] = {}
        self._said: dict[str, Said] = {}
        self.done: list[Run] = []

    async def run(self, runs: int, folder: Path) -> list[Run]:
        """All scenarios, so many times each, at the same time."""
        # No hyphens: in the server's metrics they would be something else.
        queues = {scenario.what: [f"{scenario.what.name.lower()}{n}" for n in range(runs)] for scenario in SCENARIOS}
        async with self._all_rules(queues, folder), asyncio.TaskGroup() as group:
            for number, scenario in itertools.product(range(runs), SCENARIOS):
                group.create_task(self._one(scenario, queues[scenario.what][number]))
        return self.done

    async def end(self) -> None:
        """Leave no worker, not even a stopped one."""
        for worker in self._workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()

    @asynccontextmanager
    async def _all_rules(self, queues: Mapping[What, Sequence[str]], folder: Path) -> AsyncIterator[None]:
        """A monitor a scenario, so that each has about as many queues as a platform; and both rules for all."""
        notifications = Notifications()
        work = []
        for what, names in queues.items():
            (folder / what.name).mkdir()
            watcher = watching(self._client, [*map(step_service, names)], [notifications], folder / what.name)
            self._watching |= dict.fromkeys(names, watcher)
            work += [_watch(watcher), watcher.delivery.run()]
        every = list(itertools.chain.from_iterable(queues.values()))
        pollers, counter = PollersRule(self._client, every), CounterRule(self._server.metrics_url, every)
        self._said = {MONITOR: notifications.said, POLLERS: pollers.said, COUNTER: counter.said}
        driver = Worker(
            self._client,
            task_queue=_DRIVER_QUEUE,
            workflows=[OneTask],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with driver:
            running = [asyncio.create_task(each) for each in (*work, pollers.run(), counter.run())]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
                for task in running:
                    with suppress(asyncio.CancelledError):
                        await task

    async def _one(self, scenario: Scenario, queue: str) -> None:
        since, worker = await self._break(scenario.what, queue)
        fired = {
            rule: await self._until(rule, queue, scenario.wanted, since, since + self._most_seconds) for rule in RULES
        }
        if worker is not None and worker.returncode is None:
            worker.kill()  # The hung one.
            await worker.wait()
        new, started, polls = await self._start(queue)
        back = {}
        for rule, at in fired.items():
            if at is not None:
                back[rule] = await self._until(rule, queue, _OK, started, started + _BACK_SECONDS)
        await _end(new)
        run = Run(
            scenario.what,
            queue,
            told={rule: None if at is None else at - since for rule, at in fired.items()},
            back={rule: None if at is None else at - started for rule, at in back.items()},
            polls=polls - started,
        )
        self.done.append(run)
        self._tell(run)

    async def _break(self, what: What, queue: str) -> tuple[float, asyncio.subprocess.Process | None]:
        """Bring the queue into trouble, at a random moment. Returns when, and the worker that was there."""
        if what is What.NEVER:
            await asyncio.sleep(max(0.0, self._began + _NEVER_STARTED_SECONDS - time.monotonic()))
            await asyncio.sleep(random.uniform(0, 20))
            return await self._first_task(queue), None
        worker, *_ = await self._start(queue)
        async with asyncio.timeout(_WELL_SECONDS):
            state = None
            while state is not QueueState.OK:
                await asyncio.sleep(0.2)
                state = self._state(queue)
        await asyncio.sleep(random.uniform(5, 20))
        if what is What.HUNG:
            worker.send_signal(signal.SIGSTOP)
            since = await self._first_task(queue)
            # The first ones go to the polls that it still has open.
            for _ in range(9):
                await self._task(queue)
            return since, worker
        since = time.monotonic()
        if what is What.STOPPED:
            worker.terminate()
            await worker.wait()
            await asyncio.sleep(random.uniform(0, 10))
        else:
            worker.kill()
        if what is What.BEFORE:
            await asyncio.sleep(random.uniform(20, 40))
        return (since if what is What.IDLE else await self._first_task(queue)), worker

    async def _first_task(self, queue: str) -> float:
        began = time.monotonic()
        await self._task(queue)
        return began

    async def _task(self, queue: str) -> None:
        await self._client.start_workflow(
            OneTask.run, queue, id=f"{queue}-{random.getrandbits(64):x}", task_queue=_DRIVER_QUEUE
        )

    def _state(self, queue: str) -> QueueState:
        row = self._watching[queue].board.rows.get(queue)
        return row.verdict.state if row else QueueState.UNKNOWN

    async def _until(
        self, rule: str, queue: str, states: Collection[QueueState], after: float, deadline: float
    ) -> float | None:
        while True:
            at = self._said[rule].first(queue, states, after)
            if at is not None and at <= deadline:
                return at
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.5)

    async def _start(self, queue: str) -> tuple[asyncio.subprocess.Process, float, float]:
        """A worker process of the queue; when it was started, and when it began to poll."""
        async with self._turns:
            started = time.monotonic()
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.queue_worker", self._server.address, queue),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
            self._workers.append(worker)
            assert worker.stdout is not None
            async with asyncio.timeout(_READY_SECONDS):
                polls = float(await worker.stdout.readline())
        return worker, started, polls

    def _tell(self, run: Run) -> None:
        told = ", ".join(f"{rule} {_seconds(at)}" for rule, at in run.told.items())
        back = ", ".join(f"{rule} {_seconds(at)}" for rule, at in run.back.items())
        console.print(
            f"{time.monotonic() - self._began:4.0f} s {run.queue:10}: {told}; back {back}, polled {run.polls:.1f}",
            style="dim",
            soft_wrap=True,
        )


async def _watch(watcher: Watching) -> None:
    await asyncio.sleep(random.uniform(0, EVERY_SECONDS))
    await watcher.monitor.run(EVERY_SECONDS)


async def _end(worker: asyncio.subprocess.Process) -> None:
    if worker.returncode is not None:
        return
    worker.terminate()
    try:
        async with asyncio.timeout(15):
            await worker.wait()
    except TimeoutError:
        worker.kill()
        await worker.wait()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--runs", default=20, type=click.IntRange(1, 50), help="Of each scenario.")
@click.option("--most-minutes", default=7.0, help="How long each rule gets.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables to this file.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write each run to it.")
def main(runs: int, most_minutes: float, markdown: Path | None, json_file: Path | None) -> None:
    """Measure how soon a queue without a live worker is told. Exits with 1 when a bound is not kept."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Leave nothing running.
    with tempfile.TemporaryDirectory(prefix="orderflow-detection-") as folder, running_temporal(Path(folder)) as server:
        ours = (os.getpid(),)
        began, cpu_before = time.monotonic(), machine_cpu_seconds() - family_cpu_seconds(ours)
        try:
            done = asyncio.run(_run(server, runs, most_minutes * 60, Path(folder)))
        except asyncio.CancelledError:
            sys.exit(143)
        lasted = time.monotonic() - began
        others_share = (machine_cpu_seconds() - family_cpu_seconds(ours) - cpu_before) / lasted
    found = [_told(done), _back(done)]
    for table in found:
        report.show(table, console)
    console.print(f"{lasted / 60:.1f} minutes; others took {others_share:.0%} of a CPU.")
    if markdown:
        markdown.write_text(report.markdown(found))
    if json_file:
        json_file.write_text(json.dumps([dataclasses.asdict(run) for run in done], indent=1))
    if any("no" in row for table in found for row in table.rows):
        sys.exit(1)


async def _run(server: Server, runs: int, most_seconds: float, folder: Path) -> list[Run]:
    # Only this task: were all cancelled at once, as at an exit, the driver's worker would not end.
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    experiment = Experiment(server, await Client.connect(server.address), most_seconds)
    try:
        return await experiment.run(runs, folder)
    finally:
        await experiment.end()


def _told(done: Sequence[Run]) -> Table:
    header = ["worker", "runs", *_columns(MONITOR), "bound", "kept", *_columns(POLLERS), *_columns(COUNTER)]
    rows = []
    for scenario in SCENARIOS:
        runs = [run for run in done if run.what is scenario.what]
        monitor, *others = ([run.told[rule] for run in runs] for rule in RULES)
        row = [scenario.what.value, str(len(runs)), *_figures(monitor), f"{scenario.bound_seconds:.0f}"]
        row.append(_kept(monitor, scenario.bound_seconds))
        rows.append([*row, *itertools.chain.from_iterable(map(_figures, others))])
    return Table("Told after (s)", header, rows)


def _back(done: Sequence[Run]) -> Table:
    header = ["worker", "runs", *_columns(MONITOR), "kept", *_columns("from poll"), "kept"]
    header += [*_columns(POLLERS), *_columns(COUNTER)]
    rows = []
    for scenario in SCENARIOS:
        runs = [run for run in done if run.what is scenario.what]
        from_start = [run.back.get(MONITOR) for run in runs]
        from_poll = [None if at is None else at - run.polls for at, run in zip(from_start, runs, strict=True)]
        row = [scenario.what.value, str(len(runs))]
        for monitor in (from_start, from_poll):
            row += [*_figures(monitor), _kept(monitor, BACK_BOUND_SECONDS)]
        for rule in (POLLERS, COUNTER):
            row += _figures([run.back[rule] for run in runs if rule in run.back])
        rows.append(row)
    return Table(f"Told that it is back after (s); bound {BACK_BOUND_SECONDS:.0f}", header, rows)


def _columns(rule: str) -> list[str]:
    return [f"{rule},\n{figure}" for figure in ("median", "worst")]


def _kept(seconds: Sequence[float | None], bound_seconds: float) -> str:
    return "yes" if max(map(_or_never, seconds), default=_NEVER) <= bound_seconds else "no"


_NEVER = float("inf")


def _or_never(seconds: float | None) -> float:
    return _NEVER if seconds is None else seconds


def _figures(given: Sequence[float | None]) -> list[str]:
    found = sorted(map(_or_never, given))
    return [_seconds(statistics.median_high(found)), _seconds(found[-1])] if found else ["–", "–"]


def _seconds(value: float | None) -> str:
    return "never" if value is None or value == _NEVER else f"{value:.1f}"


if __name__ == "__main__":
    main()
