"""A quiet run: a platform at work, whose workers are restarted all the time, must raise no alarm."""

import asyncio
import dataclasses
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import httpx

from benchmarks import report
from benchmarks.mixed_orders import MixedOrders
from benchmarks.orders import console
from benchmarks.ours import HEALTH_OFFSET, RunningPlatform, running_platform
from benchmarks.outages import Outage, is_true, outages
from benchmarks.processes import family_cpu_seconds, machine_cpu_seconds
from benchmarks.report import Table
from benchmarks.restarts import REPLACED, STOPPED, Restarts
from contracts.queues import Queues, QueueState, QueueStatus
from contracts.registry import BY_NAME, WORKERS, Thresholds
from monitor.incidents import Turn
from monitor.notices import Notice

_WELL_SECONDS = 90.0
"""At the start every queue has to be ok within this."""
_AFTERMATH_SECONDS = 30.0
"""Watched after the last restart: an alarm takes up to 20 s."""
_LOOK_SECONDS = 1.0


@dataclass
class Seen:
    """What the monitor said of the queues, over the run."""

    unserved_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By service: the longest time in one piece with no live worker."""
    oldest_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By service: the longest that a task has waited."""
    newest: list[dict[str, Any]] = field(default_factory=list)
    """The last minutes, look by look."""


class Observer:
    """Asks the monitor, as `orderflow queues` does."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/queues"
        self._unserved_since: dict[str, float] = {}
        self.seen = Seen()

    async def until_well(self) -> None:
        async with asyncio.timeout(_WELL_SECONDS), httpx.AsyncClient(trust_env=False) as http:
            states: set[QueueState] = set()
            while states != {QueueState.OK}:
                await asyncio.sleep(_LOOK_SECONDS)
                states = {queue.state for queue in await self._ask(http)}

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            while True:
                for queue in await self._ask(http):
                    self._note(queue)
                await asyncio.sleep(_LOOK_SECONDS)

    async def _ask(self, http: httpx.AsyncClient) -> list[QueueStatus]:
        return Queues.model_validate_json((await http.get(self._url)).content).queues

    def _note(self, queue: QueueStatus) -> None:
        seen, name, now = self.seen, queue.service, time.time()
        seen.oldest_seconds[name] = max(seen.oldest_seconds[name], queue.oldest_seconds or 0.0)
        if queue.live_workers:
            self._unserved_since.pop(name, None)
        else:
            since = self._unserved_since.setdefault(name, now)
            seen.unserved_seconds[name] = max(seen.unserved_seconds[name], now - since)
        seen.newest = [*seen.newest[-2_000:], {"at": now, **queue.model_dump(mode="json")}]


@dataclass(frozen=True, slots=True)
class Result:
    alerts: list[Notice]
    state_changes: list[str]
    outages: dict[str, list[Outage]]
    orders: MixedOrders
    restarts: Restarts
    seen: Seen
    seconds: float
    others_share: float
    """Of one CPU."""
    load_average: float
    """Over the last 15 minutes, at the end."""

    @property
    def is_quiet(self) -> bool:
        return not self.alerts and not self.state_changes and not self.orders.wrong

    @property
    def firing(self) -> list[Notice]:
        return [notice for notice in self.alerts if notice.state is Turn.FIRING]

    @property
    def false_alarms(self) -> list[Notice]:
        return [notice for notice in self.firing if not is_true(notice, self.outages)]

    @property
    def outage_seconds(self) -> list[float]:
        """How long services had no worker, the longest first."""
        now = datetime.now(UTC)
        return sorted((outage.seconds(now) for found in self.outages.values() for outage in found), reverse=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--minutes", default=30.0, type=click.FloatRange(0.5, 120), help="How long orders come.")
@click.option("--orders-per-second", default=2.0, type=click.FloatRange(0.1, 20), help="How many.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables to this file.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write what was seen to it.")
def main(minutes: float, orders_per_second: float, markdown: Path | None, json_file: Path | None) -> None:
    """Restart every worker in turn under load.

    Exits with 1 at any alarm, change of state, or order that ends wrongly, and tells them. An alarm is called true when
    the queue had no worker for as long as the registry's threshold, by the workers' own words.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Leave nothing running.
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-quiet-") as data_dir,
        running_platform(Path(data_dir), {}) as platform,
    ):
        result = asyncio.run(_run(platform, Path(data_dir), minutes * 60, orders_per_second))
    table = _table(result)
    report.show(table, console)
    if markdown:
        markdown.write_text(report.markdown([table]))
    if json_file:
        seen = vars(result.seen) | {"restarts": list(map(dataclasses.asdict, result.restarts.done))}
        json_file.write_text(json.dumps(seen, indent=1))
    if not result.is_quiet:
        _tell_alarms(result)
        sys.exit(1)


async def _run(platform: RunningPlatform, data_dir: Path, seconds: float, orders_per_second: float) -> Result:
    port = BY_NAME["monitor"].port + int(platform.environment[HEALTH_OFFSET])
    observer = Observer(f"http://127.0.0.1:{port}")
    await observer.until_well()
    orders = MixedOrders(platform.api_url, orders_per_second)
    restarts = Restarts(platform.environment, platform.temporal_address)
    ours = (os.getpid(), platform.pids["supervisord"])
    changes_before = len(_state_changes(data_dir))
    began, cpu_before = time.monotonic(), machine_cpu_seconds() - family_cpu_seconds(ours)
    observing = asyncio.create_task(observer.run())
    telling = asyncio.create_task(_tell_now_and_then(data_dir, orders, restarts))
    async with asyncio.TaskGroup() as group:
        group.create_task(orders.run(seconds))
        group.create_task(restarts.run(seconds))
    await asyncio.sleep(_AFTERMATH_SECONDS)
    lasted = time.monotonic() - began
    for task in (observing, telling):
        task.cancel()
    await asyncio.wait((observing, telling))
    if not observing.cancelled():
        observing.result()  # The monitor itself gave no answer.
    return Result(
        alerts=_alerts(data_dir),
        state_changes=_state_changes(data_dir)[changes_before:],
        outages=outages(_worker_lines(data_dir)),
        orders=orders,
        restarts=restarts,
        seen=observer.seen,
        seconds=lasted,
        others_share=(machine_cpu_seconds() - family_cpu_seconds(ours) - cpu_before) / lasted,
        load_average=os.getloadavg()[2],
    )


async def _tell_now_and_then(data_dir: Path, orders: MixedOrders, restarts: Restarts) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(30)
        console.print(
            f"{time.monotonic() - began:5.0f} s: {orders.ends.total():5} orders ended, {len(orders.wrong)} wrongly; "
            f"{len(restarts.done):4} restarts; {len(_alerts(data_dir))} alerts; load average {os.getloadavg()[0]:.1f}",
            style="dim",
        )


def _alerts(data_dir: Path) -> list[Notice]:
    file = data_dir / "alerts.jsonl"
    return [Notice.model_validate_json(line) for line in file.read_text().splitlines()] if file.exists() else []


def _worker_lines(data_dir: Path) -> Iterator[str]:
    for service in WORKERS:
        for file in (data_dir / "logs").glob(f"{service.name}.jsonl*"):
            yield from file.read_text().splitlines()


def _state_changes(data_dir: Path) -> list[str]:
    lines = (data_dir / "logs" / "monitor.jsonl").read_text().splitlines()
    return [line for line in lines if json.loads(line).get("event.action") == "task-queue-state"]


def _table(result: Result) -> Table:
    def longest(seconds: dict[str, float]) -> str:
        name = max(seconds, key=seconds.__getitem__, default="")
        return f"{seconds[name]:.1f} s ({name})" if name else "none"

    def restarts(sort: str) -> str:
        lasted = [one.ended - one.began for one in result.restarts.done if one.sort == sort]
        return f"{len(lasted)}, the longest took {max(lasted, default=0):.0f} s"

    gaps, orphaned_seconds = result.outage_seconds, Thresholds().orphaned_seconds
    outages_told = f"{len(gaps)}, median {statistics.median(gaps or [0]):.1f} s, longest {max(gaps, default=0):.1f} s"
    ends = ", ".join(f"{count} {end}" for end, count in result.orders.ends.most_common())
    rows = [
        ["lines in alerts.jsonl", str(len(result.alerts))],
        ["alarms", str(len(result.firing))],
        [f"of these false: no outage of {orphaned_seconds:.0f} s or more", str(len(result.false_alarms))],
        ["changes of state", str(len(result.state_changes))],
        ["minutes", f"{result.seconds / 60:.1f}"],
        [f"workers {REPLACED}", restarts(REPLACED)],
        [f"workers {STOPPED}", restarts(STOPPED)],
        ["orders", f"{result.orders.ends.total()}: {ends}"],
        ["orders that ended wrongly", str(len(result.orders.wrong))],
        ["times without any worker", outages_told],
        [f"of these {orphaned_seconds:.0f} s or longer", str(sum(one >= orphaned_seconds for one in gaps))],
        ["longest without a live worker, to the monitor", longest(result.seen.unserved_seconds)],
        ["longest that a task waited", longest(result.seen.oldest_seconds)],
        ["CPU that others took", f"{result.others_share:.0%} of one"],
        ["load average, 15 min", f"{result.load_average:.1f}"],
    ]
    return Table("Quiet run", ["", "seen"], rows)


def _tell_alarms(result: Result) -> None:
    for line in [*map(Notice.model_dump_json, result.alerts), *result.state_changes, *result.orders.wrong]:
        console.print(line, style="red", soft_wrap=True, markup=False)
    for restart in result.restarts.done[-20:]:
        console.print(str(restart), style="dim", soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
