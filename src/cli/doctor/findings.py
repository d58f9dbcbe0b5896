"""From facts to findings, each with its cure. Pure."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cli.doctor.facts import Ahead, Facts, Kind, Poller, Temporal, Trouble, Worker
from cli.queue_view import is_stale
from contracts.queues import QueueState
from contracts.registry import BY_NAME, WORKERS, Service
from contracts.search import CUSTOMER_ID, ORDER_STATUS

SKEW_SECONDS = 2.0
"""Clocks may differ by this much."""
_LIVE_POLL_SECONDS = 90.0
"""A long poll lasts a minute, so a live worker's last poll is up to that old."""
_IDENTITY = re.compile(r"(?P<service>[^:@]+):(?P<process>\d+)@(?P<host>.+)")
_QUEUES: Mapping[str, Service] = {service.task_queue: service for service in WORKERS if service.task_queue}


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `kind` names it for scripts; `why` is empty where it is plain."""

    severity: Severity
    kind: str
    what: str
    why: str
    cure: str


def findings(facts: Facts) -> list[Finding]:
    """Everything that is wrong, errors first."""
    temporal = facts.temporal
    found = [*_machine(facts)]
    if _nothing_runs(facts):
        return [_down(facts), *found]
    found += _temporal(temporal, is_up=facts.machine.is_up)
    if temporal.trouble is None:
        found += [*_strange_queues(temporal), *_queues(temporal), *_sdk_versions(temporal)]
        found += [*_search_attributes(temporal), *_clocks(temporal)]
    found += [*_api(facts), *_monitor(facts), *_versions(facts)]
    return sorted(found, key=lambda one: one.severity is not Severity.ERROR)


def looked_at(facts: Facts) -> list[str]:
    """What was examined, for people to judge what a clean bill is worth."""
    temporal = facts.temporal
    lines = [f"Temporal at {temporal.address}, namespace {temporal.namespace}"]
    if temporal.trouble is None:
        live = [worker for worker in temporal.workers if worker.is_live]
        clocks = sum(worker.ahead is not None for worker in live)
        lines += [
            f"task queues: {', '.join(temporal.pollers)}",
            f"live workers: {len(live)}; their queues, services, SDK and orderflow versions",
            f"clocks: {'the server, ' if temporal.ahead else ''}{clocks} of {len(live)} workers, beside this machine's",
        ]
        if temporal.search_attributes is not None:
            lines.append("search attributes")
    lines += [
        f"API at {facts.api.url}",
        f"queue monitor at {facts.monitor.url}",
        f"data folder {facts.machine.data_dir}",
    ]
    return lines


def _nothing_runs(facts: Facts) -> bool:
    answers = facts.temporal.trouble is not Trouble.UNREACHABLE or facts.api.is_reachable or facts.monitor.queues
    return not answers and not facts.machine.is_up


def _down(facts: Facts) -> Finding:
    return Finding(
        Severity.ERROR,
        "nothing-runs",
        f"nothing runs: no answer from Temporal at {facts.temporal.address}, the API at {facts.api.url} or the monitor",
        "",
        "orderflow up; or, if it runs elsewhere, set TEMPORAL_ADDRESS, ORDERFLOW_API_URL and ORDERFLOW_MONITOR_URL",
    )


def _machine(facts: Facts) -> Iterator[Finding]:
    machine = facts.machine
    if machine.not_writable is not None:
        yield Finding(
            Severity.ERROR,
            "data-folder-not-writable",
            f"the data folder {machine.data_dir} can't be written to: {machine.not_writable}",
            "Services keep their databases and logs there.",
            f"chown -R $(id -u) '{machine.data_dir}', or set ORDERFLOW_DATA_DIR to another folder",
        )
    for port, setting in machine.taken_ports.items():
        yield Finding(
            Severity.WARNING,
            "port-taken",
            f"another program listens on port {port}",
            "`orderflow up` needs it.",
            f"free it, or set {setting} to another",
        )


def _temporal(temporal: Temporal, *, is_up: bool) -> Iterator[Finding]:
    match temporal.trouble:
        case Trouble.UNREACHABLE:
            yield Finding(
                Severity.ERROR,
                "temporal-unreachable",
                f"Temporal at {temporal.address} can't be reached: {temporal.trouble_text}",
                "No order can be taken or go on.",
                "orderflow stop temporal, then: orderflow start temporal"
                if is_up
                else "orderflow up, or set TEMPORAL_ADDRESS to your server",
            )
        case Trouble.REFUSED:
            yield Finding(
                Severity.ERROR,
                "temporal-refused",
                f"Temporal at {temporal.address} refuses to answer: {temporal.trouble_text}",
                "",
                "set TEMPORAL_API_KEY, or TEMPORAL_TLS_*, to credentials that may read this namespace",
            )
        case Trouble.NO_NAMESPACE:
            yield Finding(
                Severity.ERROR,
                "namespace-missing",
                f"Temporal at {temporal.address} has no namespace {temporal.namespace}",
                "Nothing can be started or polled in it.",
                f"temporal operator namespace create --address {temporal.address} --namespace {temporal.namespace} "
                "--retention 720h, or set TEMPORAL_NAMESPACE",
            )


def _strange_queues(temporal: Temporal) -> Iterator[Finding]:
    for worker in _live(temporal):
        if worker.task_queue in _QUEUES:
            continue
        near = difflib.get_close_matches(worker.task_queue, _QUEUES, n=1)
        service = _service(worker.identity)
        ours = worker.version is not None or service in BY_NAME
        likely = near[0] if near else _QUEUES_BY_SERVICE.get(service or "")
        meant = f"; did it mean {likely}?" if likely else ""
        start = f", and run: orderflow worker {_QUEUES[likely].name}" if likely else ""
        yield Finding(
            Severity.ERROR if ours or near else Severity.WARNING,
            "unknown-queue",
            f"worker {worker.identity} polls the task queue {worker.task_queue}, which no service has{meant}",
            "No order's task ever gets there, and the queue that it should serve may have no worker.",
            f"stop {_process(worker.identity)}{start}",
        )


def _queues(temporal: Temporal) -> Iterator[Finding]:
    for queue, pollers in temporal.pollers.items():
        service = _QUEUES[queue]
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


def _sdk_versions(temporal: Temporal) -> Iterator[Finding]:
    by_sdk = _grouped((worker.sdk, worker.identity) for worker in _live(temporal) if worker.task_queue in _QUEUES)
    if len(by_sdk) > 1:
        yield Finding(
            Severity.WARNING,
            "sdk-versions",
            f"workers run on different SDKs: {_told(by_sdk)}",
            "An order may behave otherwise from one worker to the next.",
            "make install, then restart the older ones: orderflow stop SERVICE, orderflow start SERVICE",
        )


def _versions(facts: Facts) -> Iterator[Finding]:
    workers = [(worker.version, worker.identity) for worker in _live(facts.temporal) if worker.version]
    others = [(facts.version, "this command")] + ([(facts.api.version, "api")] if facts.api.version else [])
    by_version = _grouped([*workers, *others])
    if len(by_version) > 1:
        yield Finding(
            Severity.WARNING,
            "versions",
            f"different versions of orderflow run: {_told(by_version)}",
            "Right for the minutes of a rolling update, and wrong after it.",
            "restart the older ones: orderflow stop SERVICE, orderflow start SERVICE",
        )


def _search_attributes(temporal: Temporal) -> Iterator[Finding]:
    if temporal.search_attributes is None:
        return
    for attribute in (ORDER_STATUS, CUSTOMER_ID):
        found = temporal.search_attributes.get(attribute.name)
        if found == "Keyword":
            continue
        lacks = f"lacks the search attribute {attribute.name}"
        what = lacks if found is None else f"has the search attribute {attribute.name} as {found}, not Keyword"
        at = f"--address {temporal.address} --namespace {temporal.namespace} --name {attribute.name}"
        remove = "" if found is None else f"temporal operator search-attribute remove {at} --yes, then: "
        yield Finding(
            Severity.ERROR,
            "search-attribute",
            f"the namespace {temporal.namespace} {what}",
            "Orders can't be started, or not be listed.",
            f"{remove}temporal operator search-attribute create {at} --type Keyword",
        )


def _clocks(temporal: Temporal) -> Iterator[Finding]:
    hosts: dict[str, Ahead] = {}
    for worker in _live(temporal):
        if worker.ahead is not None:
            before = hosts.get(worker.host, worker.ahead)
            hosts[worker.host] = Ahead(
                max(before.at_least_seconds, worker.ahead.at_least_seconds),
                min(before.at_most_seconds, worker.ahead.at_most_seconds),
            )
    clocks = {f"the worker host {host}": ahead for host, ahead in hosts.items()}
    if temporal.ahead is not None:
        clocks["the Temporal server"] = temporal.ahead
    for whose, ahead in clocks.items():
        seconds = max(ahead.at_least_seconds, -ahead.at_most_seconds)
        if seconds > SKEW_SECONDS:
            direction = "ahead of" if ahead.at_least_seconds > 0 else "behind"
            yield Finding(
                Severity.WARNING,
                "clock-skew",
                f"the clock of {whose} is {seconds:.0f} s {direction} this machine's",
                "Waits, ages and the order of log lines and spans are wrong by as much.",
                "set both by NTP, e.g.: timedatectl set-ntp true",
            )


def _api(facts: Facts) -> Iterator[Finding]:
    api, monitor = facts.api, facts.monitor
    if not api.is_reachable:
        yield Finding(
            Severity.ERROR,
            "api-unreachable",
            f"the API at {api.url} can't be reached",
            "No order can be placed.",
            "orderflow start api, or set ORDERFLOW_API_URL"
            if facts.machine.is_up
            else "orderflow up, or orderflow api",
        )
    elif api.trouble is not None and monitor.queues is not None:
        yield Finding(
            Severity.ERROR,
            "api-without-monitor",
            f"the API at {api.url} does not tell the queues, though the queue monitor answers: {api.trouble}",
            "`orderflow queues` shows nothing.",
            f"set ORDERFLOW_API_KEY if it wants a key, or the API's ORDERFLOW_MONITOR_URL to {monitor.url}",
        )


def _monitor(facts: Facts) -> Iterator[Finding]:
    monitor = facts.monitor
    if monitor.queues is None:
        yield Finding(
            Severity.ERROR,
            "monitor-unreachable",
            f"the queue monitor at {monitor.url} can't be reached",
            "Nobody notices a queue that goes wrong.",
            "orderflow start monitor, or set ORDERFLOW_MONITOR_URL" if facts.machine.is_up else "orderflow monitor",
        )
        return
    if facts.temporal.trouble is not None:
        return  # Then it can't see more than we do.
    if is_stale(monitor.queues, facts.at):
        newest = monitor.queues.looked_at
        age = f"{(facts.at - newest).total_seconds():.0f} s ago" if newest else "never"
        yield Finding(
            Severity.ERROR,
            "monitor-stale",
            f"the queue monitor's last look that Temporal answered: {age}",
            "It sees nothing, though Temporal answers here.",
            "orderflow logs --service monitor; or, to begin anew: orderflow stop monitor, orderflow start monitor",
        )
        return
    watched = {one.task_queue for one in monitor.queues.queues}
    if watched != _QUEUES.keys():
        differing = ", ".join(sorted(watched ^ _QUEUES.keys()))
        yield Finding(
            Severity.WARNING,
            "monitor-registry",
            f"the queue monitor watches other queues than this version has: {differing}",
            "It runs another version.",
            "orderflow stop monitor, then: orderflow start monitor",
        )
    for one in monitor.queues.queues:
        if one.state is QueueState.STALLED:
            yield Finding(
                Severity.ERROR,
                "stalled",
                f"tasks wait too long on the task queue {one.task_queue}, though workers live",
                "The workers are too few, or hang.",
                f"orderflow logs --service {one.service}; to begin anew: orderflow stop {one.service}, "
                f"orderflow start {one.service}",
            )


_QUEUES_BY_SERVICE = {service.name: queue for queue, service in _QUEUES.items()}


def _live(temporal: Temporal) -> list[Worker]:
    return [worker for worker in temporal.workers if worker.is_live]


def _service(identity: str) -> str | None:
    """Ours are service:pid@host."""
    match = _IDENTITY.fullmatch(identity)
    return match["service"] if match else None


def _process(identity: str) -> str:
    match = _IDENTITY.fullmatch(identity)
    return f"process {match['process']} on {match['host']}" if match else f"the worker {identity}"


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(sorted(groups.items()))


def _told(groups: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{key} ({', '.join(sorted(set(values)))})" for key, values in groups.items())
