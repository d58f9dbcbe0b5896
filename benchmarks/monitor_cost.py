"""What the queue monitor costs: its calls to the server, its time, and the CPU of both, for few and for many queues.

Every queue has an idle worker, and the server is measured without a monitor first.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import psutil
from temporalio.api.workflowservice.v1 import ListWorkersRequest
from temporalio.client import Client

from benchmarks import report
from benchmarks.orders import console
from benchmarks.processes import family_cpu_seconds, machine_cpu_seconds
from benchmarks.report import Table
from benchmarks.server import Server, running_temporal
from benchmarks.watcher import Looks, queue_names

CALLS_BOUND = 2
"""A queue and look, at most."""
_WORKERS_A_PROCESS = 50
_SETTLING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU in seconds a minute."""

    queues: int
    looks: Looks
    monitor_cpu: float
    server_cpu: float
    server_cpu_alone: float
    others_share: float
    """Of one CPU."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--queues", "counts", default="5,50,500", help="How many, separated by commas.")
@click.option("--seconds", default=60.0, type=click.FloatRange(5, 600), help="How long each measurement lasts.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the table to this file.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write each figure to it.")
def main(counts: str, seconds: float, markdown: Path | None, json_file: Path | None) -> None:
    """Measure the queue monitor's cost. Exits with 1 when it makes more calls than it may."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Leave nothing running.
    found = [_measure(int(count), seconds) for count in counts.split(",")]
    table = _table(found)
    report.show(table, console)
    if markdown:
        markdown.write_text(report.markdown([table]))
    if json_file:
        json_file.write_text(json.dumps([asdict(one) for one in found], indent=1))
    if any(one.looks.calls > CALLS_BOUND * one.queues * len(one.looks.seconds) for one in found):
        sys.exit(1)


def _measure(queues: int, seconds: float) -> Cost:
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-cost-") as folder,
        running_temporal(Path(folder)) as server,
        _idle_workers(server, queues) as workers,
    ):
        time.sleep(_SETTLING_SECONDS)
        alone, _ = _server_cpu(server, seconds)
        command = [sys.executable, "-m", "benchmarks.watcher", server.address, str(queues)]
        watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            time.sleep(_SETTLING_SECONDS)
            assert watcher.stdin is not None
            watcher.stdin.write(b"now\n")
            watcher.stdin.flush()
            ours = (os.getpid(),)
            machine, before = machine_cpu_seconds() - family_cpu_seconds(ours), family_cpu_seconds([watcher.pid])
            server_cpu, lasted = _server_cpu(server, seconds)
            monitor_cpu = family_cpu_seconds([watcher.pid]) - before
            others = machine_cpu_seconds() - family_cpu_seconds(ours) - machine
            watcher.terminate()
            said, _ = watcher.communicate(timeout=60)
        finally:
            watcher.kill()
            watcher.wait()
        assert all(worker.poll() is None for worker in workers)
    cost = Cost(
        queues,
        Looks(**json.loads(said)),
        monitor_cpu=60 * monitor_cpu / lasted,
        server_cpu=server_cpu,
        server_cpu_alone=alone,
        others_share=others / lasted,
    )
    console.print(f"{queues} queues: done, states {cost.looks.states}", style="dim")
    return cost


def _server_cpu(server: Server, seconds: float) -> tuple[float, float]:
    """The server's CPU seconds a minute over about so many `seconds`, and how many they were."""
    process = psutil.Process(server.pid)

    def used() -> float:
        times = process.cpu_times()
        return times.user + times.system

    before, began = used(), time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - began
    return 60 * (used() - before) / lasted, lasted


@contextmanager
def _idle_workers(server: Server, queues: int) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """A worker a queue, several in a process; returns when the server knows all of them."""
    workers = []
    try:
        every = queue_names(queues)
        for first in range(0, queues, _WORKERS_A_PROCESS):
            names = every[first : first + _WORKERS_A_PROCESS]
            command = [sys.executable, "-m", "benchmarks.queue_worker", server.address, *names]
            workers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE))
        asyncio.run(_until_known(server.address, queues))
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            try:
                worker.wait(15)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


async def _until_known(address: str, queues: int) -> None:
    client = await Client.connect(address)
    async with asyncio.timeout(120):
        known = 0
        while known < queues:
            await asyncio.sleep(1)
            request = ListWorkersRequest(namespace=client.namespace, page_size=1_000)
            known = len((await client.workflow_service.list_workers(request)).workers_info)


def _table(found: Sequence[Cost]) -> Table:
    header = [
        "queues",
        "calls\na look",
        "calls a queue\nand look",
        "look, median\n(ms)",
        "look, worst\n(ms)",
        "monitor CPU\n(s/min)",
        "server CPU\n(s/min)",
        "server alone\n(s/min)",
        "others' CPU",
    ]
    rows = []
    for one in found:
        looks = len(one.looks.seconds)
        rows.append(
            [
                str(one.queues),
                f"{one.looks.calls / looks:.0f}",
                f"{one.looks.calls / looks / one.queues:.2f}",
                f"{1000 * statistics.median(one.looks.seconds):.0f}",
                f"{1000 * max(one.looks.seconds):.0f}",
                f"{one.monitor_cpu:.1f}",
                f"{one.server_cpu:.1f}",
                f"{one.server_cpu_alone:.1f}",
                f"{one.others_share:.0%}",
            ]
        )
    return Table("The monitor's cost", header, rows)


if __name__ == "__main__":
    main()
