"""The doctor's findings: nothing where all is well, and each disorder by its name and with its cure."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.doctor.facts import Ahead, Api, Facts, Kind, Machine, Monitor, Poller, Temporal, Trouble, Worker
from cli.doctor.finding import Finding, Severity
from cli.doctor.findings import findings, looked_at
from contracts.queues import Queues, QueueState
from contracts.registry import WORKERS
from tests.support.monitor_http import queues

IDENTITIES = {service.name: f"{service.name}:{number}@host" for number, service in enumerate(WORKERS, 100)}
AT = datetime.now(UTC)
LACKING = Queues(looked_at=AT, queues=queues().queues[1:])
AT_ONE = Ahead(-0.2, 0.2)


def worker(service: str, **changes: Any) -> Worker:
    known = Worker(IDENTITIES[service], service, "temporal-python 1.35.0", "host", "0.1.0", ahead=AT_ONE)
    return replace(known, **changes)


def polled(service: str, *kinds: Kind, age_seconds: float = 5.0) -> tuple[Poller, ...]:
    return tuple(Poller(IDENTITIES[service], kind, age_seconds) for kind in kinds)


ALL_WORKERS = {service.name: worker(service.name) for service in WORKERS}
ALL_POLLERS = {
    service.name: polled(service.name, *([Kind.ACTIVITIES] if service.step else [Kind.WORKFLOWS, Kind.ACTIVITIES]))
    for service in WORKERS
}
ATTRIBUTES = {"OrderStatus": "Keyword", "CustomerId": "Keyword"}
WELL = Temporal(
    "127.0.0.1:7233",
    "default",
    workers=tuple(ALL_WORKERS.values()),
    pollers=ALL_POLLERS,
    search_attributes=ATTRIBUTES,
    ahead=AT_ONE,
)


def facts(**changes: Any) -> Facts:
    """All well, but for `changes`."""
    known = Facts(
        at=AT,
        version="0.1.0",
        temporal=WELL,
        api=Api("http://127.0.0.1:8080", True, "0.1.0"),
        monitor=Monitor("http://127.0.0.1:8100", queues(0, AT)),
        machine=Machine(True, Path("data")),
    )
    return replace(known, **changes)


def with_workers(*workers: Worker, **instead: Worker) -> Temporal:
    return replace(WELL, workers=(*(ALL_WORKERS | instead).values(), *workers))


def with_pollers(**pollers: tuple[Poller, ...]) -> Temporal:
    return replace(WELL, pollers=ALL_POLLERS | pollers)


def dead(service: str, pollers: tuple[Poller, ...]) -> Temporal:
    gone = with_workers(**{service: worker(service, is_live=False, ahead=None)})
    return replace(gone, pollers=ALL_POLLERS | {service: pollers})


def found(**changes: Any) -> list[Finding]:
    return findings(facts(**changes))


def test_nothing_is_found_where_all_is_well() -> None:
    """A healthy platform has no finding, and what was looked at is told."""
    assert found() == []
    assert any("5 of 5 workers" in line for line in looked_at(facts()))


STRAY = "payment:78@host#0a1b2c"
DISORDERS = [
    pytest.param(
        {"temporal": with_workers(worker("shipping", task_queue="shiping"))},
        "error unknown-queue",
        ["shipping:103@host", "did it mean shipping?", "orderflow worker shipping"],
        id="a typo in a queue's name",
    ),
    pytest.param(
        {"temporal": with_workers(worker("shipping", task_queue="parcels"))},
        "error unknown-queue",
        ["parcels", "did it mean shipping?"],
        id="our service on quite another queue",
    ),
    pytest.param(
        {"temporal": with_workers(Worker("7@laptop", "reports", "temporal-go 1.30.0", "laptop"))},
        "warning unknown-queue",
        ["7@laptop", "reports"],
        id="somebody else's queue in our namespace",
    ),
    pytest.param(
        {"temporal": with_workers(worker("payment", task_queue="inventory"))},
        "error two-services",
        ["inventory", "service payment", "stop process 101 on host"],
        id="two services on a queue",
    ),
    pytest.param(
        {"temporal": dead("shipping", ())},
        "error no-worker",
        ["nobody polls", "shipping", "five minutes", "orderflow start shipping"],
        id="a queue that nobody polls",
    ),
    pytest.param(
        {"temporal": dead("shipping", polled("shipping", Kind.ACTIVITIES, age_seconds=40.0))},
        "error no-worker",
        ["no live worker", "40 s ago", "orderflow start shipping"],
        id="a worker killed a moment ago, which the server still lists",
    ),
    pytest.param(
        {"temporal": with_pollers(order=polled("order", Kind.ACTIVITIES))},
        "error kind-unpolled",
        ["order is not polled for workflows, only for activities"],
        id="a workflow queue polled for activities only",
    ),
    pytest.param(
        {"temporal": with_pollers(payment=polled("payment", Kind.WORKFLOWS, Kind.ACTIVITIES))},
        "warning kind-unexpected",
        ["payment for workflows"],
        id="a step's queue polled for workflows",
    ),
    pytest.param(
        {
            "temporal": replace(
                WELL,
                workers=tuple(one for name, one in ALL_WORKERS.items() if name != "payment"),
                pollers=ALL_POLLERS,
            )
        },
        "warning no-heartbeats",
        ["payment:101@host", "no heartbeats"],
        id="a worker that sends no heartbeats",
    ),
    pytest.param(
        {"temporal": with_workers(payment=worker("payment", sdk="temporal-python 1.30.0"))},
        "warning sdk-versions",
        ["temporal-python 1.30.0 (payment:101@host)", "1.35.0"],
        id="SDKs that differ",
    ),
    pytest.param(
        {"temporal": with_workers(payment=worker("payment", version="0.2.0"))},
        "warning versions",
        ["0.2.0 (payment:101@host)", "0.1.0", "this command"],
        id="a worker of another version",
    ),
    pytest.param(
        {"api": Api("http://127.0.0.1:8080", True, "0.0.9")},
        "warning versions",
        ["0.0.9 (api)"],
        id="an API of another version",
    ),
    pytest.param(
        {"temporal": with_workers(payment=worker("payment", host="far", ahead=Ahead(29.8, 30.1)))},
        "warning clock-skew",
        ["worker host far", "30 s ahead of"],
        id="a worker's clock that is fast",
    ),
    pytest.param(
        {"temporal": replace(WELL, ahead=Ahead(-5.2, -5.0))},
        "warning clock-skew",
        ["Temporal server", "5 s behind"],
        id="a server's clock that is slow",
    ),
    pytest.param(
        {"temporal": replace(WELL, search_attributes={"OrderStatus": "Keyword"})},
        "error search-attribute",
        ["lacks", "search-attribute create", "--name CustomerId --type Keyword"],
        id="a search attribute that is missing",
    ),
    pytest.param(
        {"temporal": replace(WELL, search_attributes=ATTRIBUTES | {"OrderStatus": "Text"})},
        "error search-attribute",
        ["as Text, not Keyword", "search-attribute remove"],
        id="a search attribute of another type",
    ),
    pytest.param(
        {"temporal": Temporal("far:7233", "default", Trouble.UNREACHABLE, "Connection refused")},
        "error temporal-unreachable",
        ["far:7233", "Connection refused", "orderflow start temporal"],
        id="no Temporal",
    ),
    pytest.param(
        {"temporal": Temporal("far:7233", "default", Trouble.REFUSED, "Request unauthorized.")},
        "error temporal-refused",
        ["Request unauthorized.", "TEMPORAL_API_KEY"],
        id="no permission",
    ),
    pytest.param(
        {"temporal": Temporal("far:7233", "orders", Trouble.NO_NAMESPACE, "")},
        "error namespace-missing",
        ["no namespace orders", "namespace create --address far:7233 --namespace orders"],
        id="no namespace",
    ),
    pytest.param(
        {"monitor": Monitor("http://127.0.0.1:8100", None)},
        "error monitor-unreachable",
        ["http://127.0.0.1:8100", "orderflow start monitor"],
        id="no monitor",
    ),
    pytest.param(
        {"monitor": Monitor("http://127.0.0.1:8100", queues(60, AT))},
        "error monitor-stale",
        ["60 s ago", "orderflow logs --service monitor"],
        id="a monitor that sees nothing",
    ),
    pytest.param(
        {"monitor": Monitor("http://127.0.0.1:8100", LACKING)},
        "warning monitor-registry",
        ["order", "another version"],
        id="a monitor that watches other queues",
    ),
    pytest.param(
        {"monitor": Monitor("http://127.0.0.1:8100", queues(0, AT, shipping=QueueState.STALLED))},
        "error stalled",
        ["shipping", "though workers live", "orderflow logs --service shipping"],
        id="workers that hang",
    ),
    pytest.param(
        {"api": Api("http://127.0.0.1:8080", False)},
        "error api-unreachable",
        ["http://127.0.0.1:8080", "orderflow start api"],
        id="no API",
    ),
    pytest.param(
        {"api": Api("http://127.0.0.1:8080", True, "0.1.0", "503 no monitor")},
        "error api-without-monitor",
        ["503 no monitor", "ORDERFLOW_MONITOR_URL to http://127.0.0.1:8100"],
        id="an API that does not find the monitor",
    ),
    pytest.param(
        {"machine": Machine(True, Path("data"), not_writable="Permission denied")},
        "error data-folder-not-writable",
        ["data", "Permission denied", "ORDERFLOW_DATA_DIR"],
        id="a data folder of somebody else",
    ),
    pytest.param(
        {"machine": Machine(False, Path("data"), taken_ports={8080: "ORDERFLOW_API_PORT"})},
        "warning port-taken",
        ["port 8080", "ORDERFLOW_API_PORT"],
        id="a port that is taken",
    ),
]


@pytest.mark.parametrize(("changes", "kind", "told"), DISORDERS)
def test_each_disorder_is_found(changes: dict[str, Any], kind: str, told: list[str]) -> None:
    """One thing that is wrong is one finding, which names it and says how to mend it."""
    [finding] = found(**changes)
    assert f"{finding.severity} {finding.kind}" == kind
    text = f"{finding.what} {finding.why} {finding.cure}"
    assert [part for part in told if part not in text] == []
    assert not any("\n" in part for part in (finding.what, finding.why, finding.cure))


@pytest.mark.parametrize(
    "temporal",
    [
        pytest.param(
            with_workers(worker("shipping", identity="shipping:7@other#1f3a9c")), id="two workers of one service"
        ),
        pytest.param(with_workers(worker("shipping", task_queue="shiping", is_live=False)), id="a typo mended"),
        pytest.param(
            with_pollers(inventory=(*ALL_POLLERS["inventory"], Poller(STRAY, Kind.ACTIVITIES, 200.0))),
            id="a stray worker that has left",
        ),
        pytest.param(with_workers(payment=worker("payment", ahead=Ahead(-1.5, 2.5))), id="a clock that may be right"),
        pytest.param(with_workers(payment=worker("payment", ahead=None)), id="a clock not measured"),
        pytest.param(replace(WELL, search_attributes=None, ahead=None), id="a server that does not tell all"),
    ],
)
def test_what_is_no_disorder_is_not_told(temporal: Temporal) -> None:
    """What is past, or may be right, is no finding."""
    assert found(temporal=temporal) == []


def test_nothing_runs_is_one_error() -> None:
    """Where nothing answers, that is told once and not for each part, with the ports that would keep `up` from it."""
    nothing = {
        "temporal": Temporal("127.0.0.1:7233", "default", Trouble.UNREACHABLE, "Connection refused"),
        "api": Api("http://127.0.0.1:8080", False),
        "monitor": Monitor("http://127.0.0.1:8100", None),
        "machine": Machine(False, Path("data"), taken_ports={8080: "ORDERFLOW_API_PORT"}),
    }
    assert [one.kind for one in found(**nothing)] == ["nothing-runs", "port-taken"]


def test_errors_come_first() -> None:
    """Warnings come after the errors."""
    both = replace(dead("shipping", ()), ahead=Ahead(10.0, 10.1))
    assert [one.severity for one in found(temporal=both)] == [Severity.ERROR, Severity.WARNING]
