"""Service × signal: each service that an order comes to tells of it in its trace, in its log and in its metrics."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.registry import Service
from telemetry import names
from tests.support.eventually import eventually
from tests.support.otlp import Receiver
from tests.support.platform import RunningPlatform
from tests.support.services import VISITED

each_service = pytest.mark.parametrize("service", VISITED, ids=lambda service: service.name)


@dataclass(frozen=True)
class Told:
    """One completed order, and by service how many its metric had counted before it."""

    order_id: str
    trace_id: str
    before: Mapping[str, float]


@pytest.fixture(scope="module")
def told(platform: RunningPlatform) -> Told:
    before = {service.name: scraped(platform, service) for service in VISITED}
    order = platform.end(platform.place())
    assert order["status"] == "completed"
    return Told(order["order_id"], order["trace_id"], before)


def metric(service: Service) -> tuple[str, dict[str, str]]:
    """The service's metric that counts orders, and the attributes that a completed one has there."""
    if service.step is not None:
        return "orderflow.step.duration", {"activity": service.step.activity, "outcome": "done"}
    if service.task_queue is not None:
        return "orderflow.orders", {"outcome": "completed"}
    return "http.server.request.duration", {"http.request.method": "POST", "http.route": "/orders"}


def scraped(platform: RunningPlatform, service: Service) -> float:
    """How many a scraper reads that the service has counted."""
    port = service.port + int(platform.environment["ORDERFLOW_HEALTH_PORT_OFFSET"])
    url = f"http://127.0.0.1:{port}" if service.task_queue else platform.url
    text = platform.http.get(f"{url}/metrics").raise_for_status().text
    name, attributes = metric(service)
    counters = (f"{name}.total".replace(".", "_"), f"{name}.seconds.count".replace(".", "_"))
    labels = {(attribute.replace(".", "_"), value) for attribute, value in attributes.items()}
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(s.value for s in samples if s.name in counters and labels <= set(s.labels.items()))


def pushed(receiver: Receiver, service: Service, pid: int) -> float:
    """How many the process has counted, by the last that it sent."""
    name, attributes = metric(service)
    sent = (point for point in receiver.points(pid, name) if point.service == service.name)
    fitting = (point for point in sent if attributes.items() <= point.attributes.items())
    return sum({str(sorted(point.attributes.items())): point.value for point in fitting}.values())


@each_service
def test_trace(told: Told, receiver: Receiver, service: Service) -> None:
    """Each service sends spans of the order, in the order's one trace."""

    def ids() -> set[object]:
        return {s.attributes.get(names.ORDER_ID) for s in receiver.trace(told.trace_id) if s.service == service.name}

    eventually(ids, is_it=lambda seen: seen == {told.order_id})


@each_service
def test_log_line(told: Told, platform: RunningPlatform, service: Service) -> None:
    """Each service writes lines about the order, which name its trace."""

    def traces() -> set[str]:
        file = platform.data_dir / "logs" / f"{service.name}.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return {line["trace.id"] for line in lines if line.get(names.ORDER_ID) == told.order_id}

    # The API also tells of later requests about the order, which have traces of their own.
    eventually(traces, is_it=lambda seen: told.trace_id in seen and (service.name == "api" or len(seen) == 1))


@each_service
def test_metric(told: Told, platform: RunningPlatform, receiver: Receiver, service: Service) -> None:
    """Each service counts the order, for a scraper and for a collector alike."""
    after = told.before[service.name] + 1
    eventually(lambda: scraped(platform, service), is_it=lambda count: count == after)
    pid = platform.pid(service.name)
    eventually(lambda: pushed(receiver, service, pid), is_it=lambda count: count == after)
