"""Who polls which task queue, and who should. Pure."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cli.doctor.facts import Kind, Poller, Temporal
from cli.doctor.finding import Finding, Severity
from contracts.registry import BY_NAME, WORKERS, Service

_LIVE_POLL_SECONDS = 90.0
"""A long poll lasts a minute, so a live worker's last poll is up to that old."""
_IDENTITY = re.compile(r"(?P<service>[^:@]+):(?P<process>\d+)@(?P<host>[^#]+)(#.*)?")
QUEUES: Mapping[str, Service] = {service.task_queue: service for service in WORKERS if service.task_queue}
_QUEUES_BY_SERVICE = {service.name: queue for queue, service in QUEUES.items()}


def strange_queues(temporal: Temporal) -> Iterator[Finding]:
    for worker in temporal.live_workers:
        if worker.task_queue in QUEUES:
            continue
        near = difflib.get_close_matches(worker.task_queue, QUEUES, n=1)
        service = _service(worker.identity)
        ours = worker.version is not None or service in BY_NAME
        likely = near[0] if near else _QUEUES_BY_SERVICE.get(service or "")
        meant = f"; did it mean {likely}?" if likely else ""
        start = f", and run: orderflow worker {QUEUES[likely].name}" if likely else ""
        yield Finding(
            Severity.ERROR if ours or near else Severity.WARNING,
            "unknown-queue",
            f"worker {worker.identity} polls the task queue {worker.task_queue}, which no service has{meant}",
            "No order's task ever gets there, and the queue that it should serve may have no worker.",
            f"stop {_process(worker.identity)}{start}",
        )


def registered_queues(temporal: Temporal) -> Iterator[Finding]:
    for queue, pollers in temporal.pollers.items():
        service = QUEUES[queue]
        listed = [worker for worker in temporal.workers if worker.task_queue == queue]
        live = [worker for worker in listed if worker.is_live]
        known = {worker.identity for worker in temporal.workers}
        silent = [p for p in pollers if p.identity not in known and p.age_seconds < _LIVE_POLL_SECONDS]
        serving = {worker.identity for worker in live} | {poller.identity for poller in silent}
        if not serving:
            yield _unserved(service, queue, pollers)
            continue
        yield from _foreign(service, queue, serving)
        yield from _kinds(service, queue, [poller for poller in pollers if poller.identity in serving])
        for identity in sorted({poller.identity for poller in silent}):
            yield Finding(
                Severity.WARNING,
                "no-heartbeats",
                f"worker {identity} polls the task queue {queue} and sends no heartbeats",
                "The queue monitor can't see it, and calls the queue absent or orphaned.",
                f"stop {_process(identity)}, and run: orderflow worker {service.name}",
            )


def _unserved(service: Service, queue: str, pollers: Iterable[Poller]) -> Finding:
    last = min((poller.age_seconds for poller in pollers), default=None)
    start = f"orderflow start {service.name}"
    if last is None:
        what, cure = f"nobody polls the task queue {queue}, nor has in the last five minutes", start
    else:
        # Of a worker that stopped as it should, no poll is listed.
        what = f"no live worker serves the task queue {queue}; the last poll was {last:.0f} s ago"
        cure = f"{start}; if it hangs, orderflow stop {service.name} first"
    return Finding(Severity.ERROR, "no-worker", what, "Its tasks wait.", cure)


def _foreign(service: Service, queue: str, identities: Iterable[str]) -> Iterator[Finding]:
    for identity in sorted(identities):
        name = _service(identity)
        if name == service.name:
            continue
        who = f"service {name}" if name is not None else "a worker that does not say which service it is"
        start = f", and run: orderflow start {name}" if name in BY_NAME else ""
        yield Finding(
            Severity.ERROR,
            "two-services",
            f"the task queue {queue} belongs to the service {service.name}, and {who} polls it ({identity})",
            "It takes tasks that it can't do, so orders fail or are late, now and then.",
            f"stop {_process(identity)}{start}",
        )


def _kinds(service: Service, queue: str, pollers: Sequence[Poller]) -> Iterator[Finding]:
    wanted = {Kind.ACTIVITIES} if service.step else {Kind.WORKFLOWS, Kind.ACTIVITIES}
    polled = {poller.kind for poller in pollers}
    for kind in sorted(wanted - polled):
        instead = f", only for {' and '.join(sorted(polled & wanted))}" if polled & wanted else ""
        yield Finding(
            Severity.ERROR,
            "kind-unpolled",
            f"the task queue {queue} is not polled for {kind}{instead}",
            f"Its {kind} wait.",
            f"orderflow stop {service.name}, then: orderflow start {service.name}",
        )
    for poller in pollers:
        if poller.kind not in wanted:
            yield Finding(
                Severity.WARNING,
                "kind-unexpected",
                f"worker {poller.identity} polls the task queue {queue} for {poller.kind}, which it never has",
                "A wrong worker may be on this queue.",
                f"stop {_process(poller.identity)}",
            )


def _service(identity: str) -> str | None:
    """Ours are service:pid@host#start."""
    match = _IDENTITY.fullmatch(identity)
    return match["service"] if match else None


def _process(identity: str) -> str:
    match = _IDENTITY.fullmatch(identity)
    return f"process {match['process']} on {match['host']}" if match else f"the worker {identity}"
