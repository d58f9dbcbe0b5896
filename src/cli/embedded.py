"""The embedded platform's life: brought up whole, or not at all, and taken down."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import click

from api.settings import ApiSettings
from cli.platform import PlatformSettings, Program, environment, programs, retention_command
from cli.status import ServiceStatus, wait_until_ready
from cli.supervisor import Supervisor
from service.settings import load

_READY_SECONDS = 180.0
"""Generous: seven processes start at once, on a machine that may be busy with others."""


@dataclass(frozen=True, slots=True)
class TakenPort:
    """`setting` changes which port `program` takes; `trouble` is why it can't have this one."""

    number: int
    setting: str
    program: str
    trouble: str


class Platform:
    """The embedded platform of one data folder. What can't be done is a ClickException, in one line."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.settings = load(PlatformSettings)
        self.programs = programs(self.settings)
        self.supervisor = Supervisor(self.settings.data_dir)

    def bring_up(self) -> None:
        """Start everything and return when all of it is ready."""
        if self.supervisor.is_up():
            raise click.ClickException("already up here; see `orderflow status`, stop it with `orderflow down`")
        load(ApiSettings)  # A wrong setting is told now, not in a log.
        _require_free_ports(self.programs)
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        self._tell("[dim]Starting the platform …[/]")
        self.supervisor.launch(self.programs, environment(self.settings))
        try:
            self._await_supervisor()
            self.await_ready(self.programs)
            self._set_retention()
        except BaseException:
            self.take_down()
            raise
        self._tell(f"[bold green]Ready in {time.monotonic() - began:.1f} s.[/]")

    def await_ready(self, waited_for: Sequence[Program]) -> None:
        def ready(name: str) -> None:
            self._tell(f"  [green]✓[/] {name}")

        missing = wait_until_ready(self.supervisor, waited_for, _READY_SECONDS, ready)
        if missing:
            raise click.ClickException("; ".join(self._why_not(status) for status in missing))

    def take_down(self) -> bool:
        """Stop everything and wait for it. False if nothing was up."""
        pid = self.supervisor.shut_down(last="temporal")
        while pid is not None and _is_alive(pid):
            time.sleep(0.1)
        return pid is not None

    def program(self, name: str) -> Program:
        return next(program for program in self.programs if program.name == name)

    def require_up(self) -> None:
        if not self.supervisor.is_up():
            raise click.ClickException("the platform is not up here; start it with `orderflow up`")

    def _await_supervisor(self) -> None:
        deadline = time.monotonic() + 15
        while not self.supervisor.is_up():
            if time.monotonic() > deadline:
                log = self.supervisor.log_dir / "supervisord.out"
                raise click.ClickException(f"the process supervisor does not start; see {log}")
            time.sleep(0.05)

    def _set_retention(self) -> None:
        done = subprocess.run(
            retention_command(self.settings),
            capture_output=True,
            text=True,
            env=environment(self.settings),
            check=False,
        )
        if done.returncode:
            raise click.ClickException(f"Temporal's retention could not be set: {done.stderr.strip()}")

    def _why_not(self, status: ServiceStatus) -> str:
        words = self.supervisor.last_words(status.service)
        return f"{status.service} is {status.state}: {words or f'see {self.supervisor.log_dir}/{status.service}.jsonl'}"


def taken_ports(wanted: Iterable[Program]) -> Iterator[TakenPort]:
    """Those of the programs' ports that can't be listened on now."""
    for program in wanted:
        for port, setting in program.ports.items():
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError as error:
                yield TakenPort(port, setting, program.name, error.strerror or str(error))


def _require_free_ports(wanted: Sequence[Program]) -> None:
    for port in taken_ports(wanted):
        raise click.ClickException(
            f"port {port.number} for {port.program}: {port.trouble}; free it, or set {port.setting} to another"
        )


def _is_alive(pid: int) -> bool:
    try:
        # A child that has ended stays as a zombie until it is waited for; someone else's child can't be.
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
