"""What `orderflow doctor` does."""

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from temporalio.envconfig import ClientConnectConfig

from cli.doctor.facts import Facts, Trouble
from cli.doctor.finding import Finding, Severity
from cli.doctor.findings import findings, looked_at
from cli.doctor.machine import DoctorSettings, api_and_monitor, machine
from cli.doctor.temporal import ask
from cli.supervisor import Supervisor
from cli.terminal import make_console
from service.settings import load
from service.temporal import connect_config
from telemetry.logs import VERSION

_WIDEST = max(map(len, Severity))
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


def doctor(as_json: bool) -> None:
    """Ends the process with 1 when there are errors."""
    with Console(stderr=True).status("Asking Temporal, and listening to the workers' heartbeats …"):
        facts = asyncio.run(_examine(load(DoctorSettings)))
    found = findings(facts)
    if as_json:
        told = {"at": facts.at.isoformat(), "looked_at": looked_at(facts)}
        click.echo(json.dumps(told | {"findings": [dataclasses.asdict(one) for one in found]}, indent=2))
    else:
        _print(found, looked_at(facts))
    sys.exit(1 if any(one.severity is Severity.ERROR for one in found) else 0)


async def _examine(settings: DoctorSettings) -> Facts:
    temporal = await ask(_connection(settings))
    api, monitor = await asyncio.to_thread(api_and_monitor, settings)
    unreachable = temporal.trouble is Trouble.UNREACHABLE
    here = machine(settings, needs_ports=unreachable and not _is_elsewhere())
    return Facts(datetime.now(UTC), VERSION, temporal, api, monitor, here)


def _connection(settings: DoctorSettings) -> ClientConnectConfig:
    """To the embedded platform's server where one is up, whatever TEMPORAL_* say, as for its services."""
    address = f"127.0.0.1:{settings.temporal_port}"
    if Supervisor(settings.data_dir).is_up():
        return {"target_host": address, "namespace": "default"}
    config = connect_config()
    config.setdefault("target_host", address)
    return config


def _is_elsewhere() -> bool:
    return any(name.startswith("TEMPORAL_") for name in os.environ)


def _print(found: Sequence[Finding], examined: Sequence[str]) -> None:
    console = make_console()
    for one in found:
        told = Table.grid(padding=(0, 1))
        told.add_column(width=_WIDEST)
        told.add_column(overflow="fold")
        told.add_row(Text(one.severity, _STYLES[one.severity]), Text(one.what))
        if one.why:
            told.add_row("", Text(one.why))
        console.print(told, soft_wrap=False)
        # Not folded: it is there to be copied.
        console.print(f"{'':{_WIDEST}} [bold]Cure:[/] {escape(one.cure)}")
    errors = sum(one.severity is Severity.ERROR for one in found)
    told_all = f"Errors: {errors}, warnings: {len(found) - errors}." if found else "[bold green]Nothing is wrong.[/]"
    console.print(f"{told_all} Looked at:")
    for line in examined:
        console.print(f"  {escape(line)}", style="dim")
