"""The monitor's own code over queues that are made up: `python -m benchmarks.watcher ADDRESS COUNT`.

At SIGTERM it tells on stdout what it did, as JSON; what it did before the first line on stdin does not count.
"""

import asyncio
import dataclasses
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from benchmarks.watching import EVERY_SECONDS, step_service, watching
from service.endpoint import told_to_stop


@dataclass(frozen=True, slots=True)
class Looks:
    calls: int
    """To the server, by those looks."""
    seconds: list[float]
    """How long each look took."""
    states: dict[str, int]
    """How many queues were in which state in the end."""


def queue_names(count: int) -> list[str]:
    return [f"queue-{number}" for number in range(count)]


async def main(address: str, count: str) -> None:
    stop = told_to_stop()
    client = await Client.connect(address)
    counts = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    with tempfile.TemporaryDirectory(prefix="orderflow-watcher-") as folder:
        services = [step_service(name) for name in queue_names(int(count))]
        watched = watching(client, services, [], Path(folder))
        calls_before, seconds = 0, list[float]()
        # Monitor.run, with a clock beside it.
        while not stop.is_set():
            began = time.monotonic()
            if not counts.done():
                calls_before, seconds = watched.watch.calls, []
            await watched.monitor.look()
            seconds.append(time.monotonic() - began)
            await asyncio.sleep(max(0.0, began + EVERY_SECONDS - time.monotonic()))
    states = Counter(row.verdict.state.value for row in watched.board.rows.values())
    print(json.dumps(dataclasses.asdict(Looks(watched.watch.calls - calls_before, seconds, dict(states)))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
