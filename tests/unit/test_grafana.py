"""Grafana's dashboards ask for what there is: documented metrics, of the data sources that are provisioned."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.rules import metric_names, metrics_used

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "observability/grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
SUBJECTS = {
    "Orders": "orderflow_orders_total",
    "Steps": "orderflow_step_duration_seconds_bucket",
    "API": "http_server_request_duration_seconds_count",
    "Task queues": "orderflow_task_queue_state",
    "Log shipping": "orderflow_log_shipper_lines_total",
    "Exporters and the watch itself": "orderflow_spans_dropped_total",
}


def provisioned() -> dict[str, str]:
    """Each data source's type, by its uid."""
    file = GRAFANA / "provisioning/datasources/orderflow.yml"
    return {source["uid"]: source["type"] for source in yaml.safe_load(file.read_text())["datasources"]}


def documented() -> set[str]:
    """The metrics of the documents' tables, with what a histogram is made of."""
    rows = "\n".join((ROOT / "docs" / name).read_text() for name in ("telemetry.md", "log-shippers.md"))
    names = set()
    for name, unit in re.findall(r"^\| `(\w+)` \|([^|]*)\|", rows, re.MULTILINE):
        names |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if "histogram" in unit else {name}
    # Prometheus' and Alertmanager's own, that the rules know too.
    return names | {name for name in metrics_used() if name.startswith(("prometheus_", "alertmanager_"))}


def dashboard(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def within(node: Any, key: str) -> Iterator[Any]:
    """Every value under this key, however deep."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from within(value, key)
    elif isinstance(node, list):
        for one in node:
            yield from within(one, key)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_dashboards_ask_for_metrics_that_exist(file: Path) -> None:
    """Each metric that a panel asks for is in the documents, by the name it has on a /metrics page."""
    asked = {name for expression in within(dashboard(file), "expr") for name in metric_names(expression)}
    assert asked
    assert asked <= documented()


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_dashboards_ask_whom_there_is(file: Path) -> None:
    """Each panel and each query names a provisioned data source, with its type."""
    asked = list(within(dashboard(file), "datasource"))
    assert asked
    for source in asked:
        assert provisioned().get(source["uid"]) == source["type"]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_dashboards_are_well_formed(file: Path) -> None:
    """Panels have ids and titles, do not cover each other, and tell their queries apart."""
    panels = dashboard(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    covered: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & covered, panel["title"]
        covered |= cells
        queries = [query["refId"] for query in panel.get("targets", [])]
        assert len(set(queries)) == len(queries)
        assert bool(queries) == (panel["type"] != "row")


def test_a_row_for_each_subject() -> None:
    """The dashboard has a row for orders, steps, the API, queues, log shipping and exporters."""
    asked: dict[str, str] = {}
    subject = ""
    for panel in dashboard(GRAFANA / "dashboards/orderflow.json")["panels"]:
        if panel["type"] == "row":
            subject = panel["title"]
        asked[subject] = asked.get(subject, "") + " ".join(within(panel, "expr"))
    for title, metric in SUBJECTS.items():
        assert metric in metric_names(asked[title]), title


def test_every_state_has_its_colour() -> None:
    """The queues' states are numbered as the panel names them, and none is missing."""
    (panel,) = (p for p in dashboard(GRAFANA / "dashboards/orderflow.json")["panels"] if p["type"] == "state-timeline")
    (expression,) = within(panel, "expr")
    numbered = {name: number or "1" for number, name in re.findall(r'(?:(\d) \* )?\w+\{state="(\w+)"\}', expression)}
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    shown = {value["text"]: number for number, value in mapping["options"].items()}
    assert shown == numbered | {"ok": "0"}
    assert set(shown) == {"ok", "absent", "orphaned", "stalled", "unknown"}


def test_provisioning_is_where_grafana_looks() -> None:
    """The dashboards are mounted where the provider looks for them, and the first is Grafana's first page."""
    stack = yaml.safe_load((ROOT / "docker-compose.observability.yml").read_text())["services"]["grafana"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/orderflow.yml").read_text())["providers"]
    folder = provider["options"]["path"]
    assert f"./observability/grafana/dashboards:{folder}:ro" in stack["volumes"]
    assert stack["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/orderflow.json"
    assert stack["profiles"] == ["grafana"]
