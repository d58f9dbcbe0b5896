"""Several workers in the foreground, each in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType


def run_workers(services: Sequence[str]) -> int:
    """Run until one ends or the process is told to stop; then all are stopped. Returns the exit code."""
    children = [subprocess.Popen([sys.argv[0], "worker", service]) for service in services]

    def stop(_number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # The first to end takes the others with it: half a set of workers that looks whole would go unnoticed.
    while all(child.poll() is None for child in children):
        for child in children:
            try:
                child.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
    stop(signal.SIGTERM, None)
    return max(abs(child.wait()) for child in children)
