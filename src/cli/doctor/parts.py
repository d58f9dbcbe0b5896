"""The parts that have to be there: this machine, Temporal, the API, the queue monitor. Pure."""

from collections.abc import Iterator

from cli.doctor.facts import Facts, Temporal, Trouble
from cli.doctor.finding import Finding, Severity
from cli.doctor.polling import QUEUES
from cli.queue_view import is_stale
from contracts.queues import QueueState


def nothing_runs(facts: Facts) -> bool:
    answers = facts.temporal.trouble is not Trouble.UNREACHABLE or facts.api.is_reachable or facts.monitor.queues
    return not answers and not facts.machine.is_up


def down(facts: Facts) -> Finding:
    return Finding(
        Severity.ERROR,
        "nothing-runs",
        f"nothing runs: no answer from Temporal at {facts.temporal.address}, the API at {facts.api.url} or the monitor",
        "",
        "orderflow up; or, if it runs elsewhere, set TEMPORAL_ADDRESS, ORDERFLOW_API_URL and ORDERFLOW_MONITOR_URL",
    )


def machine(facts: Facts) -> Iterator[Finding]:
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


def temporal(temporal: Temporal, *, is_up: bool) -> Iterator[Finding]:
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


def api(facts: Facts) -> Iterator[Finding]:
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


def monitor(facts: Facts) -> Iterator[Finding]:
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
    if watched != QUEUES.keys():
        differing = ", ".join(sorted(watched ^ QUEUES.keys()))
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
