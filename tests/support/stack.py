"""The Compose stack for a test: containers, network, volumes and ports of its own, asked as its users ask it."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripts.env import completed
from testcontainers.compose import DockerCompose

from tests.conftest import lacking
from tests.support.alerting import Notification, Notifications
from tests.support.eventually import eventually
from tests.support.otlp import Span
from tests.support.platform import Orders
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PROJECT = "orderflow-test"
START_SECONDS = 1500
LOGS = "logs-orderflow-default"
LOG_FOLDER = "/var/lib/orderflow/logs"
SPOOL = "/var/spool/rsyslog"
# Where this can't be had, that takes its place.
STAND_INS = {
    "jaegertracing/jaeger:2.20.0": "observability/jaeger/docker-compose.v1.yml",
    "kibana:8.19.21": "observability/stack/without-kibana.yml",
}
# Alerts on what has happened, which stay for a quarter of an hour or a whole one: other tests make it happen.
LINGERING = {
    "ApiErrorRateHigh",
    "ApiLatencyHigh",
    "LogLinesRefused",
    "OrderFailureRateHigh",
    "SpansDropped",
    "UndoFailed",
}
PORTS = {
    "api": "API_PORT",
    "temporal": "TEMPORAL_PORT",
    "temporal-ui": "TEMPORAL_UI_PORT",
    "elasticsearch": "ELASTICSEARCH_PORT",
    "kibana": "KIBANA_PORT",
    "jaeger": "JAEGER_PORT",
    "otlp-grpc": "OTLP_GRPC_PORT",
    "otlp-http": "OTLP_HTTP_PORT",
    "prometheus": "PROMETHEUS_PORT",
    "alertmanager": "ALERTMANAGER_PORT",
    "mail": "MAIL_PORT",
    "receiver": "RECEIVER_PORT",
}


def docker(
    *arguments: str,
    check: bool = True,
    timeout_seconds: float = 120,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `docker` with these arguments, `text` as its input, and `environment` beside what is there."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
        env={**os.environ, **(environment or {})},
    )
    if check:
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done


def engine() -> None:
    """Skips the test where no Docker engine with Compose answers."""
    try:
        docker("version", timeout_seconds=30)
        docker("compose", "version", timeout_seconds=30)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        lacking(f"no Docker engine with Compose answers: {error}")


def give_time(items: list[pytest.Item], folder: Path) -> None:
    """Tests in this folder get the time for building the images and starting the stack, which is their first one's."""
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.timeout(START_SECONDS))


def available(image: str) -> bool:
    """It is there, or can be pulled."""
    return any(
        docker(*ask, image, check=False, timeout_seconds=900).returncode == 0
        for ask in (("image", "inspect"), ("pull", "-q"))
    )


def files() -> list[str]:
    """The stack's Compose files, with a stand-in for each image that can't be had."""
    stand_ins = [file for image, file in STAND_INS.items() if not available(image)]
    return ["docker-compose.observability.yml", *stand_ins]


class _Received(Notifications):
    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def received(self) -> list[Notification]:  # type: ignore[override]
        found: list[Notification] = httpx.get(self._url, trust_env=False).raise_for_status().json()
        return found


class Stack(Orders):
    """A stack that is up."""

    def __init__(self, compose: DockerCompose, ports: Mapping[str, int]) -> None:
        super().__init__(self._url(ports["api"]))
        self._compose = compose
        self.ports = ports
        self.elasticsearch = self._client(ports["elasticsearch"])
        self.jaeger = self._client(ports["jaeger"])
        self.prometheus = self._client(ports["prometheus"])
        self.alertmanager = self._client(ports["alertmanager"])
        self.mail = self._client(ports["mail"])
        self.hook = _Received(self._url(ports["receiver"]))

    @staticmethod
    def _url(port: int) -> str:
        return f"http://127.0.0.1:{port}"

    def _client(self, port: int) -> httpx.Client:
        return httpx.Client(base_url=self._url(port), timeout=30, trust_env=False)

    def close(self) -> None:
        for client in (self.http, self.elasticsearch, self.jaeger, self.prometheus, self.alertmanager, self.mail):
            client.close()

    # Containers.

    def compose(self, *arguments: str, text: str | None = None, environment: Mapping[str, str] | None = None) -> str:
        """Run `docker compose` on this stack; what it wrote to stdout."""
        # Its first word is the docker command.
        command = [*self._compose.docker_compose_command()[1:], *arguments]
        return docker(*command, timeout_seconds=240, text=text, environment=environment).stdout

    def execute(self, service: str, *command: str, text: str | None = None) -> str:
        """Run a command in a service's container; what it wrote to stdout."""
        return self.compose("exec", "-T", service, *command, text=text)

    def kill(self, service: str) -> None:
        self.compose("kill", service)

    def start(self, service: str) -> None:
        """Start it again, and return when it is healthy."""
        self.compose("start", service)
        eventually(lambda: self.states()[service], 180, is_it=lambda state: state == ("running", "healthy"))

    def states(self) -> dict[str, tuple[str, str]]:
        """State and health of each container, by service; ended jobs too."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: (one["State"], one["Health"]) for one in map(json.loads, lines)}

    def rows(self, step: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        for parameter in parameters:
            query = query.replace("?", "'" + str(parameter).replace("'", "''") + "'", 1)
        wrapped = f"SELECT row_to_json(found) FROM ({query}) AS found"
        out = self.execute("postgres", "psql", "-U", "postgres", "-d", step, "-AtX", "-c", wrapped)
        return [tuple(json.loads(line).values()) for line in out.splitlines()]

    # Log lines.

    def written(self) -> list[dict[str, Any]]:
        """Every line in the files of the services, rotated ones too."""
        text = self.execute("api", "sh", "-c", f"cat {LOG_FOLDER}/*.jsonl*")
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


@contextmanager
def running_stack(
    folder: Path, extra_files: Sequence[str] = (), settings: Callable[[str], str] = lambda text: text
) -> Iterator[Stack]:
    """The stack, up from nothing, and down again with its volumes. `settings` edits the text of its .env."""
    engine()
    ports = {name: free_port() for name in PORTS}
    example = (ROOT / ".env.example").read_text()
    env = settings(completed(example, "".join(f"{PORTS[name]}={port}\n" for name, port in ports.items())))
    env_file = folder / "stack.env"
    env_file.write_text(env + "ORDERFLOW_ALERT_WEBHOOK_URL=http://receiver:8080/\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("ORDERFLOW_", "OTEL_", "TEMPORAL_", "COMPOSE_")):
                patch.delenv(name)
        patch.setenv("COMPOSE_PROJECT_NAME", PROJECT)
        compose = DockerCompose(ROOT, [*files(), *extra_files], env_file=str(env_file), build=True)
        compose.stop()
        try:
            compose.start()
            stack = Stack(compose, ports)
            try:
                yield stack
            finally:
                stack.close()
                # For whoever looks into a failure.
                (folder / "containers.log").write_text(stack.compose("logs", "--no-color", "--timestamps"))
        finally:
            compose.stop()
