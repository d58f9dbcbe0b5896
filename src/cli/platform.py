"""The embedded platform: every service as a process of its own, on this machine. Plain data."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from contracts.registry import BY_NAME, SERVICES, Service
from contracts.search import CUSTOMER_ID, ORDER_STATUS
from service.settings import SettingError, Settings

RETENTION = "720h"
"""How long ended orders, and with them idempotency keys, are kept: 30 days."""

# Measured on the dev server: without write-ahead logging a sixth of the orders a second; with its default limit on
# task transfers each hop of an order waits 40 ms.
_TEMPORAL_PRAGMAS = ("journal_mode=wal", "synchronous=normal")
_TEMPORAL_DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=2000",
    "history.transferProcessorMaxPollHostRPS=10000",
    # A worker that stops is handed no more work, and its poller is gone at once.
    "frontend.enableCancelWorkerPollsOnShutdown=true",
)


class PlatformSettings(Settings):
    """Where the embedded platform listens, on loopback."""

    api_port: int = Field(default=8080, ge=1, le=65_535)
    temporal_port: int = Field(default=7233, ge=1, le=65_535)
    temporal_http_port: int = Field(default=7243, ge=1, le=65_535)
    temporal_ui_port: int = Field(default=8888, ge=1, le=65_535)
    health_port_offset: int = Field(default=0, ge=-8000, le=57_000)
    """Added to each worker's health port (8100 and on), to run a second platform beside a first."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the platform. `ports` maps what it listens on to the setting that changes it."""

    name: str
    command: tuple[str, ...]
    health_url: str
    ports: Mapping[int, str]
    task_queue: str | None = None
    stop_seconds: int = 30
    """How long it may take to stop before it is killed."""
    environment: Mapping[str, str] = field(default_factory=dict)
    logs_itself: bool = True
    """Whether it writes its lines to `<data>/logs/<name>.jsonl` by itself; else its output is kept there."""


def programs(settings: PlatformSettings) -> list[Program]:
    """Every process of the platform, Temporal first."""
    return [_temporal(settings), *(_service(service, settings) for service in SERVICES)]


def environment(settings: PlatformSettings) -> dict[str, str]:
    """What every process gets: this one's environment, with the embedded Temporal in place of any other.

    The developer's own Temporal profile must not apply: an order of the demo has no business on a real cluster.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return inherited | {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{settings.temporal_port}",
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "ORDERFLOW_DATA_DIR": str(settings.data_dir.resolve()),
    }


def _service(service: Service, settings: PlatformSettings) -> Program:
    command = (str(_installed("orderflow")), *(("worker", service.name) if service.task_queue else (service.name,)))
    # Its lines are in its log file; nobody reads its stdout.
    changes = {"ORDERFLOW_LOG_FORMAT": "none"}
    if service.name == "api":
        port, setting = settings.api_port, "ORDERFLOW_API_PORT"
        monitor_port = BY_NAME["monitor"].port + settings.health_port_offset
        changes |= {"ORDERFLOW_API_PORT": str(port), "ORDERFLOW_MONITOR_URL": f"http://127.0.0.1:{monitor_port}"}
    else:
        port, setting = service.port + settings.health_port_offset, "ORDERFLOW_HEALTH_PORT_OFFSET"
        changes["ORDERFLOW_HEALTH_PORT"] = str(port)
        changes["ORDERFLOW_TEMPORAL_UI_URL"] = f"http://127.0.0.1:{settings.temporal_ui_port}"
    health_url = f"http://127.0.0.1:{port}/readyz"
    return Program(service.name, command, health_url, {port: setting}, service.task_queue, environment=changes)


def _temporal(settings: PlatformSettings) -> Program:
    command = [
        *(str(_installed("temporal")), "server", "start-dev"),
        *("--ip", "127.0.0.1", "--port", str(settings.temporal_port)),
        *("--http-port", str(settings.temporal_http_port)),
        *("--ui-ip", "127.0.0.1", "--ui-port", str(settings.temporal_ui_port)),
        *("--db-filename", str(settings.data_dir.resolve() / "temporal.db")),
        *("--log-format", "json", "--log-level", "warn"),
    ]
    for pragma in _TEMPORAL_PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    for value in _TEMPORAL_DYNAMIC_CONFIG:
        command += ["--dynamic-config-value", value]
    for attribute in (ORDER_STATUS, CUSTOMER_ID):
        command += ["--search-attribute", f"{attribute.name}=Keyword"]
    return Program(
        "temporal",
        tuple(command),
        f"http://127.0.0.1:{settings.temporal_http_port}/api/v1/system-info",
        {
            settings.temporal_port: "ORDERFLOW_TEMPORAL_PORT",
            settings.temporal_http_port: "ORDERFLOW_TEMPORAL_HTTP_PORT",
            settings.temporal_ui_port: "ORDERFLOW_TEMPORAL_UI_PORT",
        },
        # Its own shutdown waits for its internal pollers. Its SQLite file, with a write-ahead log, needs no goodbye.
        stop_seconds=2,
        # OTEL_* are ours: the server does not start with an exporter that it does not know.
        environment={"OTEL_TRACES_EXPORTER": "none"},
        logs_itself=False,
    )


def retention_command(settings: PlatformSettings) -> tuple[str, ...]:
    """Sets how long ended orders are kept; the dev server itself has no option for it."""
    address = f"127.0.0.1:{settings.temporal_port}"
    update = ("operator", "namespace", "update", "--namespace", "default", "--retention", RETENTION)
    return (str(_installed("temporal")), *update, "--address", address)


def _installed(name: str) -> Path:
    """A command installed beside this Python, or else on PATH."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    if found is None:
        raise SettingError(f"PATH: the command {name} was not found; run `make install`")
    return Path(found)
