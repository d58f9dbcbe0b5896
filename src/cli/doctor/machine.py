"""Asking this machine: its platform, its ports, its data folder, and what answers HTTP."""

import os
import tempfile
from pathlib import Path

import httpx
from pydantic import ValidationError

from cli.doctor.facts import Api, Machine, Monitor
from cli.embedded import taken_ports
from cli.order_client import ApiError, ClientSettings, OrderClient
from cli.platform import PlatformSettings, programs
from cli.supervisor import Supervisor
from contracts.queues import Queues
from contracts.registry import service

_ANSWER_SECONDS = 5.0


class DoctorSettings(ClientSettings, PlatformSettings):
    monitor_url: str | None = None
    """Where the queue monitor is; on this machine unless set."""

    @property
    def monitor(self) -> str:
        own = f"http://127.0.0.1:{service('monitor').port + self.health_port_offset}"
        return (self.monitor_url or own).rstrip("/")


def machine(settings: DoctorSettings, *, needs_ports: bool) -> Machine:
    """`needs_ports`: whether `orderflow up` is what is to be run, should nothing be up."""
    is_up = Supervisor(settings.data_dir).is_up()
    taken = taken_ports(programs(settings)) if needs_ports and not is_up else []
    return Machine(
        is_up=is_up,
        data_dir=settings.data_dir,
        not_writable=_not_writable(settings.data_dir),
        taken_ports={port.number: port.setting for port in taken},
    )


def api_and_monitor(settings: DoctorSettings) -> tuple[Api, Monitor]:
    """The monitor may be out of this machine's reach; then the API has its word."""
    client = OrderClient(settings)
    version = _api_version(client.url)
    queues, trouble = None, None
    try:
        queues = Queues.model_validate(client.queues())
    except ApiError as error:
        trouble = str(error)
    except ValidationError:
        trouble = "it answers something else"
    if queues is None:
        queues = _asked(settings.monitor)
    return Api(client.url, version is not None, version, trouble), Monitor(settings.monitor, queues)


def _api_version(url: str) -> str | None:
    """None when nothing there answers as our API does."""
    try:
        answer = httpx.get(f"{url}/openapi.json", timeout=_ANSWER_SECONDS, trust_env=False).raise_for_status().json()
        return str(answer["info"]["version"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None


def _asked(url: str) -> Queues | None:
    try:
        answer = httpx.get(f"{url}/queues", timeout=_ANSWER_SECONDS, trust_env=False).raise_for_status()
        return Queues.model_validate_json(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL, ValidationError):
        return None


def _not_writable(folder: Path) -> str | None:
    """Why; None when it can be written to, or made."""
    try:
        if not folder.exists():
            nearest = next(parent for parent in folder.resolve().parents if parent.exists())
            if not nearest.is_dir():
                return f"{nearest} is no folder"
            return None if os.access(nearest, os.W_OK | os.X_OK) else f"{nearest} does not let it be made"
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)
