"""From facts to findings, each with its cure. Pure."""

from cli.doctor import agreement, parts, polling
from cli.doctor.facts import Facts
from cli.doctor.finding import Finding, Severity


def findings(facts: Facts) -> list[Finding]:
    """Everything that is wrong, errors first."""
    temporal = facts.temporal
    found = [*parts.machine(facts)]
    if parts.nothing_runs(facts):
        return [parts.down(facts), *found]
    found += parts.temporal(temporal, is_up=facts.machine.is_up)
    if temporal.trouble is None:
        found += [*polling.strange_queues(temporal), *polling.registered_queues(temporal)]
        found += [*agreement.sdk_versions(temporal), *agreement.search_attributes(temporal)]
        found += agreement.clocks(temporal)
    found += [*parts.api(facts), *parts.monitor(facts), *agreement.versions(facts)]
    return sorted(found, key=lambda one: one.severity is not Severity.ERROR)


def looked_at(facts: Facts) -> list[str]:
    """What was examined, for people to judge what a clean bill is worth."""
    temporal = facts.temporal
    lines = [f"Temporal at {temporal.address}, namespace {temporal.namespace}"]
    if temporal.trouble is None:
        live = temporal.live_workers
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
