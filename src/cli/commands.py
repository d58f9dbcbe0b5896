"""What the commands for the whole platform do: up, down, status, start, stop, demo."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table

from api.settings import ApiSettings
from cli.platform import PlatformSettings, Program, environment, programs, retention_command
from cli.status import ServiceStatus, statuses, wait_until_ready
from cli.supervisor import Supervisor, SupervisorError
from service.settings import load

_READY_SECONDS = 90.0
_STATE_STYLES = {"running": "green", "starting": "yellow", "stopping": "yellow", "stopped": "dim"}

console = Console(highlight=False, soft_wrap=True)


class Platform:
    """The embedded platform of one data folder."""

    def __init__(self) -> None:
        self.settings = load(PlatformSettings)
        self.programs = programs(self.settings)
        self.supervisor = Supervisor(self.settings.data_dir)

    def bring_up(self) -> None:
        """Start everything and return when all of it is ready. Raises ClickException in one line."""
        if self.supervisor.is_up():
            raise click.ClickException("already up here; see `orderflow status`, stop it with `orderflow down`")
        load(ApiSettings)  # A wrong setting is told now, not in a log.
        _require_free_ports(self.programs)
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        console.print("Starting the platform …", style="dim")
        self.supervisor.launch(self.programs, environment(self.settings))
        try:
            self._await_supervisor()
            self.await_ready(self.programs)
            self._set_retention()
        except BaseException:
            self.take_down()
            raise
        console.print(f"Ready in {time.monotonic() - began:.1f} s.", style="bold green")

    def await_ready(self, waited_for: Sequence[Program]) -> None:
        def tell(name: str) -> None:
            console.print(f"  [green]✓[/] {name}")

        missing = wait_until_ready(self.supervisor, waited_for, _READY_SECONDS, tell)
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


def up(detach: bool) -> None:
    platform = Platform()
    platform.bring_up()
    tell_links(platform.settings)
    if not detach:
        _stay_until_told(platform)


def down() -> None:
    if Platform().take_down():
        console.print("Stopped.")
    else:
        console.print("Nothing was up.")


def status(as_json: bool) -> None:
    platform = Platform()
    found = statuses(platform.supervisor, platform.programs)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    table = Table("service", "state", "pid", "task queue", "health", box=None, header_style="bold")
    for one in found:
        style = _STATE_STYLES.get(one.state, "bold red")
        table.add_row(one.service, f"[{style}]{one.state}[/]", str(one.pid or ""), one.task_queue or "", one.health_url)
    console.print(table)


def start(service: str) -> None:
    platform = Platform()
    platform.require_up()
    try:
        platform.supervisor.start(service)
    except SupervisorError as error:
        raise click.ClickException(str(error)) from None
    platform.await_ready([platform.program(service)])


def stop(service: str) -> None:
    platform = Platform()
    platform.require_up()
    platform.supervisor.stop(service)
    console.print(f"  {service} stopped")


def demo() -> None:
    from cli.tour import Tour  # noqa: PLC0415  # Loads the HTTP client, which `status` and `down` do without.

    platform = Platform()
    platform.bring_up()
    try:
        tell_links(platform.settings)
        as_told = Tour(platform.supervisor, platform.program("shipping"), platform.settings, console).run()
    except BaseException:
        platform.take_down()
        raise
    if sys.stdin.isatty() and sys.stdout.isatty():
        console.print("\nThe platform stays up: try `.venv/bin/orderflow order submit --wait 10`. Ctrl-C stops it.")
        _stay_until_told(platform)
    else:
        platform.take_down()
    if not as_told:
        raise click.ClickException("not every order ended as told")


def tell_links(settings: PlatformSettings) -> None:
    console.print(f"  order API     http://127.0.0.1:{settings.api_port}/docs")
    console.print(f"  Temporal UI   http://127.0.0.1:{settings.temporal_ui_port}")
    console.print(f"  data, logs    {settings.data_dir}/")


def _stay_until_told(platform: Platform) -> None:
    """Until Ctrl-C, SIGTERM, or `orderflow down` from elsewhere."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        while platform.supervisor.is_up():
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("\nStopping …", style="dim")
        platform.take_down()
    console.print("Stopped. The orders are kept; `orderflow up` goes on with them.")


def _require_free_ports(wanted: Sequence[Program]) -> None:
    for program in wanted:
        for port, setting in program.ports.items():
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError as error:
                raise click.ClickException(
                    f"port {port} for {program.name}: {error.strerror}; free it, or set {setting} to another"
                ) from None


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
