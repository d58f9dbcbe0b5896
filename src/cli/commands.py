"""What the commands for the whole platform do: up, down, status, start, stop, demo."""

import dataclasses
import json
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

import click

from cli.alerts import NewAlerts
from cli.embedded import Platform
from cli.order_client import ApiError
from cli.platform import PlatformSettings
from cli.status import statuses
from cli.supervisor import SupervisorError
from cli.terminal import make_console, make_table
from cli.tour import Tour
from monitor.terminal import block

_STATE_STYLES = {"running": "green", "starting": "yellow", "stopping": "yellow", "stopped": "dim"}

console = make_console()


def up(detach: bool) -> None:
    platform = Platform(console.print)
    _end_as_on_ctrl_c()
    platform.bring_up()
    tell_links(platform.settings)
    if not detach:
        _stay_until_told(platform)


def down() -> None:
    if Platform(console.print).take_down():
        console.print("Stopped.")
    else:
        console.print("Nothing was up.")


def status(as_json: bool) -> None:
    platform = Platform(console.print)
    found = statuses(platform.supervisor, platform.programs)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    table = make_table("service", "state", "pid", "task queue", "health")
    for one in found:
        style = _STATE_STYLES.get(one.state, "bold red")
        table.add_row(one.service, f"[{style}]{one.state}[/]", str(one.pid or ""), one.task_queue or "", one.health_url)
    console.print(table, soft_wrap=False)


def start(service: str) -> None:
    platform = Platform(console.print)
    platform.require_up()
    [found] = statuses(platform.supervisor, [platform.program(service)])
    if found.state == "unhealthy":
        console.print(f"  {service} is up and does not do its work; it is stopped first")
        platform.supervisor.stop(service)
    try:
        platform.supervisor.start(service)
    except SupervisorError as error:
        raise click.ClickException(str(error)) from None
    platform.await_ready([platform.program(service)])


def stop(service: str) -> None:
    platform = Platform(console.print)
    platform.require_up()
    platform.supervisor.stop(service)
    console.print(f"  {service} stopped")


def demo() -> None:
    platform = Platform(console.print)
    _end_as_on_ctrl_c()
    platform.bring_up()
    try:
        tell_links(platform.settings)
        as_told = Tour(platform.supervisor, platform.program("shipping"), platform.settings, console).run()
    except BaseException as error:
        platform.take_down()
        if isinstance(error, ApiError):
            raise click.ClickException(str(error)) from None
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


def _end_as_on_ctrl_c() -> None:
    """SIGTERM, or a closed terminal, stops what was started as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # As under nohup.
            signal.signal(number, interrupt)


def _stay_until_told(platform: Platform) -> None:
    """Until Ctrl-C, SIGTERM, or `orderflow down` from elsewhere; alerts are shown as they come."""
    alerts = NewAlerts(platform.settings.data_dir / "alerts.jsonl")
    try:
        while platform.supervisor.is_up():
            for notice in alerts.take():
                console.print(block(notice))
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("\nStopping …", style="dim")
        platform.take_down()
    console.print("Stopped. The orders are kept; `orderflow up` goes on with them.")
