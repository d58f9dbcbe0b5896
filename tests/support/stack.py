"""The whole stack as a test asks it, whatever it runs on: its back ends, its parts, the way of its log lines."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from contracts.registry import SERVICES
from tests.conftest import lacking
from tests.support.alerting import Notifications
from tests.support.eventually import eventually
from tests.support.otlp import Span
from tests.support.platform import Orders

ROOT = Path(__file__).parents[2]
LOGS = "logs-orderflow-default"
# Alerts on what has happened, which stay for a quarter of an hour or a whole one: other tests make it happen.
LINGERING = {
    "ApiErrorRateHigh",
    "ApiLatencyHigh",
    "LogLinesRefused",
    "OrderFailureRateHigh",
    "SpansDropped",
    "UndoFailed",
}


class Mail(NamedTuple):
    subject: str
    text: str


class Stack(Orders):
    """A stack that is up. Its parts have the names of the Compose files' services."""

    log_folder: str
    log_files: str
    """Those of the services in it, rotated ones too, as a shell pattern."""
    spool: str
    """Where the log shipper keeps what it has not delivered, and what it could not."""
    refuses_orders_without: frozenset[str]
    """The parts in whose absence no order is accepted."""

    def __init__(
        self, api_url: str, urls: Mapping[str, str], hook: Notifications, lacks: Mapping[str, str] | None = None
    ) -> None:
        """`urls` are those of the back ends, by part; `lacks` has, for each part that is not here, why."""
        super().__init__(api_url)
        self.hook = hook
        self._lacks = lacks or {}
        self._urls = urls
        self._clients: dict[str, httpx.Client] = {}

    def close(self) -> None:
        for client in (self.http, *self._clients.values()):
            client.close()

    # Back ends. Where one is not here the test that asks for it is skipped, or fails where all are required.

    @property
    def elasticsearch(self) -> httpx.Client:
        return self._client("elasticsearch")

    @property
    def jaeger(self) -> httpx.Client:
        return self._client("jaeger")

    @property
    def prometheus(self) -> httpx.Client:
        return self._client("prometheus")

    @property
    def alertmanager(self) -> httpx.Client:
        return self._client("alertmanager")

    def _client(self, part: str) -> httpx.Client:
        self.require(part)
        if part not in self._clients:
            self._clients[part] = httpx.Client(base_url=self._urls[part], timeout=30, trust_env=False)
        return self._clients[part]

    def require(self, part: str) -> None:
        if part in self._lacks:
            lacking(self._lacks[part])

    @abstractmethod
    def mails(self) -> list[Mail]:
        """What has come to the mail catcher."""

    # Parts.

    @abstractmethod
    def stop(self, part: str) -> None:
        """End it as an operator does."""

    @abstractmethod
    def kill(self, part: str) -> None:
        """It dies at once, and stays away until it is started."""

    @abstractmethod
    def start(self, part: str) -> None:
        """Start it again, and return when it is well."""

    @abstractmethod
    def execute(self, part: str, *command: str, text: str | None = None) -> str:
        """Run a command where this part runs; what it wrote to stdout."""

    @abstractmethod
    def shipper_with_queue_of(self, lines: int) -> AbstractContextManager[None]:
        """The log shipper keeps no more lines than that in its queue, while the block runs."""

    @abstractmethod
    def forget_how_far_it_read(self) -> None:
        """The log shipper, which is stopped, will read all files from their beginnings."""

    # Log lines.

    def written(self) -> list[dict[str, Any]]:
        """Every line in the files of the services, rotated ones too."""
        text = self.execute("api", "sh", "-c", f"cat {self.log_files}")
        return [json.loads(line) for line in text.splitlines()]

    def stored(self, query: str = "*") -> list[dict[str, Any]]:
        """Every line in Elasticsearch that fits a query (query_string), oldest first."""
        self.elasticsearch.post(f"/{LOGS}/_refresh").raise_for_status()
        body: dict[str, Any] = {
            "size": 5000,
            "sort": [{"event.id": "asc"}],
            "query": {"query_string": {"query": query}},
        }
        found: list[dict[str, Any]] = []
        while True:
            hits = self.elasticsearch.post(f"/{LOGS}/_search", json=body).raise_for_status().json()["hits"]["hits"]
            if not hits:
                return found
            found += (hit["_source"] for hit in hits)
            body["search_after"] = hits[-1]["sort"]

    def until_all_is_stored(self, within_seconds: float = 120) -> list[dict[str, Any]]:
        """The stored lines, once they are, id by id, those that were written: none lacks, none is there twice."""

        def look() -> list[dict[str, Any]]:
            try:
                lines = self.stored()
            except httpx.HTTPError as error:
                raise AssertionError(repr(error)) from None
            stored = [line["event.id"] for line in lines]
            assert len(stored) == len(set(stored)), "stored twice"
            written = [line["event.id"] for line in self.written()]
            assert len(written) == len(set(written)), "written twice"
            assert (len(set(written) - set(stored)), len(set(stored) - set(written))) == (0, 0)
            return lines

        return eventually(look, within_seconds, is_it=lambda _: True)

    # Traces and metrics.

    def trace(self, trace_id: str) -> list[Span]:
        """The trace as Jaeger's query API has it, in version 1 and 2 alike; empty while it has none."""
        answer = self.jaeger.get(f"/api/traces/{trace_id}")
        if answer.status_code == 404:
            return []
        (trace,) = answer.raise_for_status().json()["data"]
        return [_span(span, trace["processes"]) for span in trace["spans"]]

    def ask(self, promql: str) -> dict[str, float]:
        """An instant query; values by the label `service`."""
        answer = self.prometheus.get("/api/v1/query", params={"query": promql}).raise_for_status().json()
        return {one["metric"].get("service", ""): float(one["value"][1]) for one in answer["data"]["result"]}

    def until_all_is_scraped(self) -> None:
        """Returns once Prometheus has reached all of our services, and all else that it is to ask."""
        ours = {service.name for service in SERVICES}

        def look() -> bool:
            up = self.ask("min by (service) (up)")
            assert ours <= up.keys(), up
            return up == dict.fromkeys(up, 1.0)

        eventually(look, 60)

    def firing(self) -> set[str]:
        """The names of the alerts that Prometheus has firing now, but the one that always is."""
        alerts = self.prometheus.get("/api/v1/alerts").raise_for_status().json()["data"]["alerts"]
        return {it["labels"]["alertname"] for it in alerts if it["state"] == "firing"} - {"Watchdog"}

    def until_quiet(self) -> None:
        """Returns once nothing is amiss any more."""
        eventually(lambda: self.firing() - LINGERING, 120, is_it=lambda it: not it)


def _span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    parents = [it["spanID"] for it in span["references"] if it["refType"] == "CHILD_OF"]
    start = span["startTime"] * 1000
    return Span(
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=parents[0] if parents else "",
        name=span["operationName"],
        service=processes[span["processID"]]["serviceName"],
        kind=tags.get("span.kind", ""),
        start_nanos=start,
        end_nanos=start + span["duration"] * 1000,
        attributes=tags,
        status=tags.get("otel.status_code", "UNSET"),
        links=(),
        arrival=0,
        transport="http",
    )
