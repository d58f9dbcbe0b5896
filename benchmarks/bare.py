"""The bare ceiling's processes: one bare worker for the workflow and one a step, on the platform's own Temporal."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bare_worker import NAMES
from benchmarks.ours import clean_environment


@contextmanager
def running_bare_workers(temporal_address: str) -> Iterator[dict[str, int]]:
    """Start the bare workers and end them again; their process ids by name. Each polls a second or so later."""
    workers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in NAMES:
            command = [sys.executable, "-m", "benchmarks.bare_worker", temporal_address, name]
            workers[name] = subprocess.Popen(command, env=clean_environment(), stdin=subprocess.DEVNULL)
        yield {name: worker.pid for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            try:
                worker.wait(timeout=15)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
