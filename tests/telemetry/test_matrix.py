"""Service × signal: each service tells of an order in its trace, in its log and in its metrics."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.registry import SERVICES, Service
from telemetry import names
from tests.support.eventually import eventually
from tests.support.otlp import Receiver
from tests.support.platform import RunningPlatform

METRICS = {"api": "http.server.request.duration", "order": "orderflow.orders"}
OF_A_STEP = "orderflow.step.duration"
each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@dataclass(frozen=True)
class Told:
    """One completed order, and what each service's metrics were before it."""

    order_id: str
    trace_id: str
    scraped: Mapping[str, float]
    pushed: Mapping[str, float]
    pids: Mapping[str, int]


@pytest.fixture(scope="module")
def told(platform: RunningPlatform, receiver: Receiver) -> Told:
    scraped = {service.name: scrape(platform, service) for service in SERVICES}
    pids = {service.name: platform.pid(service.name) for service in SERVICES}
    pushed = {service.name: last_pushed(receiver, service, pids[service.name]) for service in SERVICES}
    order = platform.end(platform.place())
    assert order["status"] == "completed"
    return Told(order["order_id"], order["trace_id"], scraped, pushed, pids)


def metric(service: Service) -> str:
    """A metric of the service that counts orders, requests or attempts."""
    return METRICS.get(service.name, OF_A_STEP)


def scrape(platform: RunningPlatform, service: Service) -> float:
    """What a scraper reads of the service's metric, over all attributes."""
    offset = int(platform.environment["ORDERFLOW_HEALTH_PORT_OFFSET"])
    url = f"http://127.0.0.1:{service.port + offset}" if service.task_queue else platform.url
    text = httpx.get(f"{url}/metrics", trust_env=False).raise_for_status().text
    name = metric(service).replace(".", "_")
    counted = (f"{name}_total", f"{name}_seconds_count")
    families = text_string_to_metric_families(text)
    return sum(sample.value for family in families for sample in family.samples if sample.name in counted)


def last_pushed(receiver: Receiver, service: Service, pid: int) -> float:
    """What the process's metric was when it was last sent, over all attributes."""
    points = [p for p in receiver.points(service.name, metric(service)) if p.instance.endswith(f":{pid}")]
    return sum({str(sorted(point.attributes.items())): point.value for point in points}.values())


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
    eventually(lambda: scrape(platform, service), is_it=lambda count: count > told.scraped[service.name])
    pid = told.pids[service.name]
    eventually(lambda: last_pushed(receiver, service, pid), is_it=lambda count: count > told.pushed[service.name])
