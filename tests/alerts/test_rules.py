"""Prometheus' rules: promtool's own tests, and that rules, runbooks and documents agree."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from contracts.registry import SERVICES
from tests.alerts.rules import alerts, kebab
from tests.support.alerting import PROMETHEUS
from tests.support.processes import tool

DOCS = Path(__file__).parents[2] / "docs"
UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def promtool(*arguments: object) -> None:
    command = [tool("promtool"), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_configuration_and_rules() -> None:
    """promtool finds nothing wrong with the configuration and the rules it loads."""
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_rules_fire_when_they_should(file: Path) -> None:
    """Each rule fires when it should, is quiet when it should, and says what it should."""
    promtool("test", "rules", file)


def test_each_rule_is_tested_both_ways() -> None:
    """No rule is without a unit test in which it fires, with its text, and one in which it does not."""
    fires: set[str] = set()
    is_quiet: set[str] = set()
    for file in UNIT_TESTS:
        for case in yaml.safe_load(file.read_text())["tests"]:
            for expected in case.get("alert_rule_test", []):
                (fires if expected.get("exp_alerts") else is_quiet).add(expected["alertname"])
    assert fires == set(alerts())
    assert is_quiet == set(alerts()) - {"Watchdog"}


def test_each_alert_says_what_it_has_to() -> None:
    """Each alert has a severity, a summary, a description and a link to its runbook."""
    for name, rule in alerts().items():
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"].endswith(f"/{kebab(name)}.md"), name
        assert "severity" in rule["labels"], name


def test_each_alert_has_its_runbook() -> None:
    """Each alert has a page, which bears its name; there is no page without an alert."""
    pages = {page.stem: page.read_text().splitlines()[0] for page in (DOCS / "runbooks").glob("*.md")}
    assert pages == {kebab(name): f"# {name}" for name in alerts()}


def test_the_document_tells_of_each_alert() -> None:
    """The table of docs/alerting.md has each alert with its severity, and no other."""
    rows = re.findall(
        r"^\| \[(\w+)\]\(runbooks/([\w-]+)\.md\) \| ([\w, ]+) \|", (DOCS / "alerting.md").read_text(), re.M
    )
    severities = {name: severity for name, _, severity in rows}
    assert {name: page for name, page, _ in rows} == {name: kebab(name) for name in alerts()}
    for name, rule in alerts().items():
        assert all(word in rule["labels"]["severity"] for word in severities[name].split(", ")), name


def test_prometheus_scrapes_each_service() -> None:
    """Prometheus' configuration has each service of the registry at its port, and no other."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    scraped = {
        static["labels"]["service"]: static["targets"]
        for job in configuration["scrape_configs"]
        if job["job_name"].startswith("orderflow")
        for static in job["static_configs"]
    }
    assert scraped == {service.name: [f"127.0.0.1:{service.port}"] for service in SERVICES}
