"""The Compose stack for a test: containers, network, volumes and ports of its own."""

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
from tests.support.ports import free_port
from tests.support.stack import ROOT, Mail, Stack

PROJECT = "orderflow-test"
START_SECONDS = 1500
# Where this can't be had, that takes its place.
STAND_INS = {
    "jaegertracing/jaeger:2.20.0": "observability/jaeger/docker-compose.v1.yml",
    "kibana:8.19.21": "observability/stack/without-kibana.yml",
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


def docker_trouble() -> str | None:
    """Why no Docker engine with Compose answers; None when one does."""
    try:
        docker("version", timeout_seconds=30)
        docker("compose", "version", timeout_seconds=30)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        # The client says first what it is itself.
        return f"no Docker engine with Compose answers: {str(error).strip().splitlines()[-1]}"
    return None


def engine() -> None:
    """Skips the test where no Docker engine with Compose answers."""
    if trouble := docker_trouble():
        lacking(trouble)


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


class ContainerStack(Stack):
    """The Compose stack. `ports` are those of this machine, by the names of PORTS."""

    log_folder = "/var/lib/orderflow/logs"
    log_files = f"{log_folder}/*.jsonl*"
    spool = "/var/spool/rsyslog"
    # Temporal has its tables in PostgreSQL.
    refuses_orders_without = frozenset({"temporal", "postgres"})

    def __init__(self, compose: DockerCompose, ports: Mapping[str, int]) -> None:
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        super().__init__(urls.pop("api"), urls, _Received(urls["receiver"]))
        self._compose = compose
        self.ports = ports

    def compose(self, *arguments: str, text: str | None = None, environment: Mapping[str, str] | None = None) -> str:
        """Run `docker compose` on this stack; what it wrote to stdout."""
        # Its first word is the docker command.
        command = [*self._compose.docker_compose_command()[1:], *arguments]
        return docker(*command, timeout_seconds=240, text=text, environment=environment).stdout

    def execute(self, part: str, *command: str, text: str | None = None) -> str:
        return self.compose("exec", "-T", part, *command, text=text)

    def stop(self, part: str) -> None:
        self.compose("stop", part)

    def kill(self, part: str) -> None:
        self.compose("kill", part)

    def start(self, part: str) -> None:
        self.compose("start", part)
        eventually(lambda: self.states()[part], 180, is_it=lambda state: state == ("running", "healthy"))

    def states(self) -> dict[str, tuple[str, str]]:
        """State and health of each container, by service; ended jobs too."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: (one["State"], one["Health"]) for one in map(json.loads, lines)}

    def mails(self) -> list[Mail]:
        return [Mail(mail["subject"], mail["text"]) for mail in self._client("mail").get("/email").json()]

    def rows(self, step: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        for parameter in parameters:
            query = query.replace("?", "'" + str(parameter).replace("'", "''") + "'", 1)
        wrapped = f"SELECT row_to_json(found) FROM ({query}) AS found"
        out = self.execute("postgres", "psql", "-U", "postgres", "-d", step, "-AtX", "-c", wrapped)
        return [tuple(json.loads(line).values()) for line in out.splitlines()]

    @contextmanager
    def shipper_with_queue_of(self, lines: int) -> Iterator[None]:
        anew = ("up", "-d", "--no-deps", "--wait", "rsyslog")
        self.compose(*anew, environment={"LOGS_QUEUE_LINES": str(lines)})
        try:
            yield
        finally:
            self.compose(*anew)

    def forget_how_far_it_read(self) -> None:
        forget = f"rm -f {self.spool}/imfile-state*"
        self.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "rsyslog", "-c", forget)


@contextmanager
def container_stack(
    folder: Path, extra_files: Sequence[str] = (), settings: Callable[[str], str] = lambda text: text
) -> Iterator[ContainerStack]:
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
            stack = ContainerStack(compose, ports)
            try:
                yield stack
            finally:
                stack.close()
                # For whoever looks into a failure.
                (folder / "containers.log").write_text(stack.compose("logs", "--no-color", "--timestamps"))
        finally:
            compose.stop()
