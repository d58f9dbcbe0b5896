"""The metrics of a real platform, beside the tables of docs/telemetry.md."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.registry import BY_NAME, STEPS, WORKERS
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform, running_platform

DOCS = Path(__file__).parents[2] / "docs" / "telemetry.md"
POLLING = {service.name for service in WORKERS}
PROCESSES = {"all": set(BY_NAME), "api, workers": {"api"} | POLLING, "workers": POLLING, "steps": set(STEPS)}
OF_EVERY_SDK_METRIC = {"namespace", "service_name", "task_queue"}
BROUGHT_ABOUT = {"orderflow_step_retries_total", "orderflow_undos_total", "temporal_activity_execution_failed_total"}
"""What is there only once it has happened, and did happen in the payment worker here."""


@dataclass(frozen=True)
class Documented:
    labels: set[str]
    processes: set[str]


def table(heading: str) -> dict[str, Documented]:
    """The metrics of the table that follows these words."""
    _, _, text = DOCS.read_text().partition(f"{heading}\n\n")
    found = {}
    for row in text.partition("\n\n")[0].splitlines()[2:]:
        name, _, labels, process, _ = (cell.strip() for cell in row.strip("|").split("|"))
        metric = name.strip("`")
        more = OF_EVERY_SDK_METRIC if metric.startswith("temporal_") else set()
        found[metric] = Documented(set(re.findall(r"`(\w+)`", labels)) | more, PROCESSES.get(process, {process}))
    return found


ALWAYS = table("Always there, once a process has done what it is for:")
ONCE_HAPPENED = table("There only once it has happened:")


def exposed(platform: RunningPlatform, service: str) -> dict[str, set[str]]:
    """The labels of every metric of a process, by the metric's name in the tables."""
    url = platform.status()[service]["health_url"].replace("/readyz", "/metrics")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(platform.http.get(url).text):
        for sample in family.samples:
            name = family.name if family.type == "histogram" else sample.name
            found.setdefault(name, set()).update(set(sample.labels) - {"le"})
    return found


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, dict[str, set[str]]]]:
    """What each process exposes once orders have met success and trouble."""
    with running_platform(tmp_path_factory.mktemp("metrics") / "data") as platform:
        short = [{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 4900}]
        placed = [
            platform.place(),
            platform.place(payment_method="tok_declined"),
            platform.place(payment_method="tok_flaky"),
            platform.place(items=short),
        ]
        for order_id in placed:
            platform.end(order_id)

        def look() -> dict[str, dict[str, set[str]]]:
            return {service: exposed(platform, service) for service in BY_NAME}

        def is_complete(found: dict[str, dict[str, set[str]]]) -> bool:
            return all(metric in found[service] for service, metric in expected())

        try:
            found = eventually(look, is_it=is_complete)  # The SDK's come some seconds late.
        except AssertionError:
            found = look()  # The tests say what is missing.
        yield found


def expected() -> set[tuple[str, str]]:
    return {(service, metric) for metric, documented in ALWAYS.items() for service in documented.processes}


def test_the_tables_are_read() -> None:
    """Both tables are found in the document, and no metric is in both."""
    assert len(ALWAYS) > 30
    assert set(ONCE_HAPPENED) > BROUGHT_ABOUT
    assert not set(ALWAYS) & set(ONCE_HAPPENED)
    assert all(documented.processes <= set(BY_NAME) for documented in (ALWAYS | ONCE_HAPPENED).values())


def test_every_metric_in_the_table_is_there(metrics: Mapping[str, dict[str, set[str]]]) -> None:
    """Each metric of the first table is exposed by each process that the table names."""
    assert {(service, metric) for service, metric in expected() if metric not in metrics[service]} == set()
    assert set(metrics["payment"]) >= BROUGHT_ABOUT


def test_every_metric_that_is_there_is_in_a_table(metrics: Mapping[str, dict[str, set[str]]]) -> None:
    """No process exposes a metric that the tables do not give it, nor a label that they do not give the metric."""
    tables = ALWAYS | ONCE_HAPPENED
    untold = {
        (service, metric)
        for service, found in metrics.items()
        for metric in found
        if metric not in tables or service not in tables[metric].processes
    }
    assert untold == set()
    unlabelled = {
        (metric, label)
        for found in metrics.values()
        for metric, labels in found.items()
        for label in labels - tables[metric].labels
    }
    assert unlabelled == set()
