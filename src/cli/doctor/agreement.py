"""What has to agree between processes: versions, search attributes, clocks. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from cli.doctor.facts import Ahead, Facts, Temporal
from cli.doctor.finding import Finding, Severity
from cli.doctor.polling import QUEUES
from contracts.search import CUSTOMER_ID, ORDER_STATUS

SKEW_SECONDS = 2.0
"""Clocks may differ by this much."""


def sdk_versions(temporal: Temporal) -> Iterator[Finding]:
    by_sdk = _grouped((worker.sdk, worker.identity) for worker in temporal.live_workers if worker.task_queue in QUEUES)
    if len(by_sdk) > 1:
        yield Finding(
            Severity.WARNING,
            "sdk-versions",
            f"workers run on different SDKs: {_told(by_sdk)}",
            "An order may behave otherwise from one worker to the next.",
            "make install, then restart the older ones: orderflow stop SERVICE, orderflow start SERVICE",
        )


def versions(facts: Facts) -> Iterator[Finding]:
    workers = [(worker.version, worker.identity) for worker in facts.temporal.live_workers if worker.version]
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


def search_attributes(temporal: Temporal) -> Iterator[Finding]:
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


def clocks(temporal: Temporal) -> Iterator[Finding]:
    hosts: dict[str, Ahead] = {}
    for worker in temporal.live_workers:
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


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(sorted(groups.items()))


def _told(groups: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{key} ({', '.join(sorted(set(values)))})" for key, values in groups.items())
