"""The faults that the tests bring about, each mended on leaving.

A killed process needs no mending: its successor is started at once, and does the work.
"""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.platform import RunningPlatform
from tests.support.postgres import database_setting, write_lock


@contextmanager
def stopped(platform: RunningPlatform, service: str) -> Iterator[None]:
    """The service is stopped as an operator stops it."""
    platform.run("stop", service)
    try:
        yield
    finally:
        platform.run("start", service)


def kill(pid: int) -> None:
    """The process dies at once, with no chance to finish or to say goodbye."""
    os.kill(pid, signal.SIGKILL)


@contextmanager
def frozen(platform: RunningPlatform, service: str) -> Iterator[None]:
    """The service's process lives and does nothing."""
    pid = platform.pid(service)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def write_locked(platform: RunningPlatform, step: str) -> Iterator[None]:
    """The step's database takes no writes, so that its worker is held up in mid-activity."""
    if url := platform.environment.get(database_setting(step)):
        with write_lock(url):
            yield
        return
    connection = sqlite3.connect(platform.data_dir / f"{step}.db", isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()
