"""What runs: the supervisor's word on each process, and each process's own health."""

import concurrent.futures
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import httpx

from cli.platform import Program
from cli.supervisor import ProcessInfo, Supervisor

_START_SECONDS = 30.0
"""A process that is up but not ready is starting, within this time; after that it is unhealthy."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`state`: running (and ready), starting, unhealthy, stopping, stopped or failed (it does not stay up)."""

    service: str
    pid: int | None
    state: str
    task_queue: str | None
    health_url: str


def statuses(supervisor: Supervisor, programs: Sequence[Program]) -> list[ServiceStatus]:
    processes = supervisor.processes()
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(programs)) as pool:
        return list(pool.map(lambda program: _status(program, processes.get(program.name)), programs))


def wait_until_ready(
    supervisor: Supervisor,
    programs: Sequence[Program],
    within_seconds: float,
    tell: Callable[[str], None] = lambda _: None,
) -> list[ServiceStatus]:
    """Wait until each program is ready, telling each as it becomes so. Returns those that are not in time.

    Ends early when one has failed: waiting longer will not mend it.
    """
    deadline = time.monotonic() + within_seconds
    waiting = list(programs)
    while True:
        found = statuses(supervisor, waiting)
        for status in found:
            if status.state == "running":
                tell(status.service)
        missing = [status for status in found if status.state != "running"]
        if not missing or any(status.state == "failed" for status in missing) or time.monotonic() > deadline:
            return missing
        waiting = [program for program in waiting if program.name in _names(missing)]
        time.sleep(0.2)


def _names(statuses: Iterable[ServiceStatus]) -> set[str]:
    return {status.service for status in statuses}


def _status(program: Program, process: ProcessInfo | None) -> ServiceStatus:
    state = _state(process, program.health_url)
    pid = process.pid if process else None
    return ServiceStatus(program.name, pid, state, program.task_queue, program.health_url)


def _state(process: ProcessInfo | None, health_url: str) -> str:
    if process is None:
        return "stopped"
    match process.state:
        case "RUNNING" | "STARTING":
            if _is_ready(health_url):
                return "running"
            return "starting" if process.up_seconds < _START_SECONDS else "unhealthy"
        case "BACKOFF":
            return "starting"
        case "STOPPING":
            return "stopping"
        case "FATAL":
            return "failed"
        case _:
            return "stopped"


# One for all: each client loads the certificates of all authorities, 30 ms of CPU, which plain HTTP has no use for.
_http = httpx.Client(timeout=5.0, trust_env=False, verify=False)  # noqa: S501


def _is_ready(health_url: str) -> bool:
    try:
        return _http.get(health_url).is_success
    except httpx.HTTPError:
        return False
