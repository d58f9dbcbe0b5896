"""A program that a test starts, kills and starts again: one process with its children, and a log."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.conftest import lacking
from tests.support.eventually import eventually


def tool(*names: str) -> str:
    """The first of these commands that is there; without any the test is skipped."""
    # Debian keeps its daemons where not every user's PATH leads.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return found or lacking(f"the command {names[0]} is not on PATH")


def answers(url: str) -> Callable[[], bool]:
    """Whether somebody says 200 there now."""

    def ask() -> bool:
        try:
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    return ask


class Process:
    """A program that is started at the earliest by `start`. Its environment is this one's with `environment` on top."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        is_ready: Callable[[], bool],
        *,
        environment: Mapping[str, str] | None = None,
        user: int | str | None = None,
        ready_seconds: float = 60,
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.environment = dict(environment or {})
        self._command = list(command)
        self._log = log
        self._is_ready = is_ready
        self._user = user
        self._ready_seconds = ready_seconds
        self._stop_signal = stop_signal
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it is ready. Fails, with what it said, when it ends instead."""
        as_user: dict[str, Any] = (
            {} if self._user is None else {"user": self._user, "group": self._user, "extra_groups": []}
        )
        with self._log.open("ab") as output:
            running = self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
                start_new_session=True,
                **as_user,
            )

        def ready() -> bool:
            if running.poll() is not None:
                words = self._log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{self._command[0]} has ended with {running.returncode}: {words}")
            return self._is_ready()

        eventually(ready, self._ready_seconds)

    def stop(self, within_seconds: float = 30) -> None:
        """End it as an operator does, or, when it takes too long, at once."""
        if self._running is None:
            return
        self._running.send_signal(self._stop_signal)
        try:
            self._running.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._running = None

    def kill(self) -> None:
        """It and all its children die at once, with no chance to finish."""
        if self._running is None:
            return
        family = [psutil.Process(self._running.pid)]
        family += family[0].children(recursive=True)
        for process in family:
            # One that is gone with its parent already is gone as wished.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._running.wait()
        psutil.wait_procs(family, timeout=30)
        self._running = None


@contextmanager
def running(process: Process) -> Iterator[Process]:
    try:
        process.start()
        yield process
    finally:
        process.stop()
