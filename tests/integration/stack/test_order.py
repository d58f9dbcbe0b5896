"""One order through HTTP, and what each back end then has of it."""

from dataclasses import dataclass

import pytest

from contracts.registry import STEPS
from telemetry import names
from tests.faults.checks import check_completed_once
from tests.support.eventually import eventually
from tests.support.order_lines import COMPLETED, events
from tests.support.otlp import Span
from tests.support.services import VISITED
from tests.support.stack import Stack
from tests.telemetry.test_traces import COMPLETED as WITHOUT_MAIL
from tests.telemetry.trees import lacking_parent, tree

SCRAPED_WITHIN_SECONDS = 60.0
"""Every 15 seconds, on a machine that may be busy."""
STORED_WITHIN_SECONDS = 150.0
"""Jaeger 1 looks for an Elasticsearch that it has once lost only every 60 seconds."""
TREE = WITHOUT_MAIL.replace(
    "      ledger done · notification", "      smtp send · notification\n      ledger done · notification"
)


@dataclass(frozen=True)
class Told:
    order_id: str
    trace_id: str


@pytest.fixture(scope="module")
def told(stack: Stack) -> Told:
    order = check_completed_once(stack, stack.place())
    return Told(order["order_id"], order["trace_id"])


def spans(stack: Stack, told: Told) -> list[Span]:
    def all_of_them() -> list[Span]:
        found = stack.trace(told.trace_id)
        assert tree(found) == TREE.strip()
        return found

    return eventually(all_of_them, STORED_WITHIN_SECONDS)


def test_jaeger_has_its_whole_trace(stack: Stack, told: Told) -> None:
    """Every span of every service is in Jaeger, under its right parent, about this order."""
    found = spans(stack, told)
    assert lacking_parent(found) == []
    assert {span.service for span in found} == {service.name for service in VISITED}
    assert {span.attributes.get(names.ORDER_ID) for span in found} == {told.order_id}


def test_the_spans_are_as_long_as_what_they_stand_for(stack: Stack, told: Told) -> None:
    """An attempt begins where its wait ended, and lies within its step; the run of the workflow spans all steps."""
    by_name = {span.name: span for span in spans(stack, told)}
    run = by_name["RunWorkflow:OrderWorkflow"]
    for name, step in by_name.items():
        if not name.startswith("StartActivity:"):
            continue
        activity = name.partition(":")[2]
        wait, attempt = by_name[f"WaitActivity:{activity}"], by_name[f"RunActivity:{activity}"]
        # Jaeger keeps microseconds.
        assert wait.end_nanos <= attempt.start_nanos + 1000
        assert run.start_nanos <= step.start_nanos
        assert attempt.start_nanos < attempt.end_nanos <= run.end_nanos
        inner = [span for span in by_name.values() if span.parent_id == attempt.span_id]
        assert all(attempt.start_nanos <= it.start_nanos and it.end_nanos <= attempt.end_nanos + 1000 for it in inner)


@pytest.mark.parametrize("key", [names.ORDER_ID, "trace.id"])
def test_elasticsearch_has_its_log_lines(stack: Stack, told: Told, key: str) -> None:
    """By order id and by trace id alike: the lines of all services, equal to those in the files, each once."""
    wanted = told.order_id if key == names.ORDER_ID else told.trace_id
    stack.until_all_is_stored()
    stored = stack.stored(f'{key}:"{wanted}"')
    written = [line for line in stack.written() if line.get(key) == wanted]
    assert sorted(stored, key=lambda line: str(line["event.id"])) == sorted(
        written, key=lambda line: str(line["event.id"])
    )
    assert {line["service.name"] for line in stored} == {service.name for service in VISITED}
    assert events([line for line in stored if line.get(names.ORDER_ID)]) == COMPLETED


def test_prometheus_has_its_metrics(stack: Stack, told: Told) -> None:
    """Each service that the order came to has counted it, and Prometheus has read that."""

    def ask(promql: str) -> dict[str, float]:
        return eventually(lambda: stack.ask(promql), SCRAPED_WITHIN_SECONDS)

    assert ask('sum by (service) (orderflow_orders_total{outcome="completed"})')["order"] >= 1
    assert ask('sum by (service) (http_server_request_duration_seconds_count{http_route="/orders"})')["api"] >= 1
    done = 'sum by (service) (orderflow_step_duration_seconds_count{outcome="done"})'
    counted = eventually(lambda: stack.ask(done), SCRAPED_WITHIN_SECONDS, is_it=lambda it: set(it) == set(STEPS))
    assert all(count >= 1 for count in counted.values())


def test_the_customer_is_told(stack: Stack, told: Told) -> None:
    """The confirmation is in the mail catcher, once."""
    mails = [mail for mail in stack.mails() if told.order_id in mail.text + mail.subject]
    assert len(mails) == 1


def test_every_part_is_well(stack: Stack) -> None:
    """Prometheus reaches all that it scrapes, every rule is evaluated, and nothing is amiss."""
    stack.until_all_is_scraped()
    groups = stack.prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    stack.until_quiet()
