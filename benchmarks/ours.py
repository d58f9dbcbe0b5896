"""The platform as a user runs it: `orderflow up --detach`, in a folder and on ports of its own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.processes import TEMPORAL
from cli.platform import PlatformSettings, programs

HEALTH_OFFSET = "ORDERFLOW_HEALTH_PORT_OFFSET"
ORDERFLOW = Path(sys.executable).parent / "orderflow"
_OURS = ("ORDERFLOW_", "TEMPORAL_", "OTEL_")


@dataclass(frozen=True, slots=True)
class RunningPlatform:
    api_url: str
    temporal_address: str
    pids: Mapping[str, int]
    """Every process by its name, Temporal and the supervisor among them."""
    environment: Mapping[str, str]
    """For further `orderflow` commands about it."""


@contextmanager
def running_platform(data_dir: Path, settings: Mapping[str, str]) -> Iterator[RunningPlatform]:
    """Bring a platform up and take it down again. `settings` are environment variables on top of the defaults."""
    environment = clean_environment() | {"ORDERFLOW_DATA_DIR": str(data_dir)} | free_ports(data_dir) | dict(settings)
    try:
        _run(environment, "up", "--detach")
        yield RunningPlatform(
            api_url=f"http://127.0.0.1:{environment['ORDERFLOW_API_PORT']}",
            temporal_address=f"127.0.0.1:{environment['ORDERFLOW_TEMPORAL_PORT']}",
            pids=_pids(environment),
            environment=environment,
        )
    finally:
        _run(environment, "down")


def clean_environment() -> dict[str, str]:
    """This process's environment without settings for the platform: what is measured are its defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def _run(environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [str(ORDERFLOW), *arguments], capture_output=True, text=True, env=environment, timeout=180, check=False
    )
    if done.returncode:
        raise RuntimeError(f"orderflow {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def _pids(environment: Mapping[str, str]) -> dict[str, int]:
    pids = {one["service"]: int(one["pid"]) for one in json.loads(_run(environment, "status", "--json"))}
    supervisor = psutil.Process(pids[TEMPORAL]).parent()
    return pids | {"supervisord": supervisor.pid} if supervisor else pids


def free_ports(data_dir: Path) -> dict[str, str]:
    """Each setting that says where something listens, set to what is free."""
    wanted = programs(PlatformSettings(data_dir=data_dir))
    ports = [(port, setting) for program in wanted for port, setting in program.ports.items()]
    found = {setting: str(free_port()) for _, setting in ports if setting != HEALTH_OFFSET}
    return found | {HEALTH_OFFSET: str(_free_offset([port for port, setting in ports if setting == HEALTH_OFFSET]))}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _free_offset(ports: list[int]) -> int:
    # Below the ports that the system gives out by itself.
    return next(offset for offset in range(2000, 24_000, 50) if all(_is_free(port + offset) for port in ports))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
