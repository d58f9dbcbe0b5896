"""A real Prometheus and a real Alertmanager with our configuration, and what receives their notifications."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.processes import Process, answers, running, tool
from tests.support.serving import serving

OBSERVABILITY = Path(__file__).parents[2] / "observability"
PROMETHEUS = OBSERVABILITY / "prometheus"
RENDER = OBSERVABILITY / "alertmanager" / "render.py"

Notification = dict[str, Any]


class Notifications:
    """What a web hook has been told."""

    received: Sequence[Notification]

    def alerts(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Everything told so far: status, alert name, the alert."""
        return [
            (alert["status"], alert["labels"]["alertname"], alert)
            for notification in list(self.received)
            for alert in notification["alerts"]
        ]

    def told(self) -> list[tuple[str, str]]:
        """Status and alert name of everything told so far."""
        return [(status, name) for status, name, _ in self.alerts()]

    def unresolved(self) -> set[str]:
        """The alerts whose end has not been told."""
        newest = {alert["fingerprint"]: (status, name) for status, name, alert in self.alerts()}
        return {name for status, name in newest.values() if status == "firing"}

    def alert(self, status: str, name: str, within_seconds: float, **labels: str) -> dict[str, Any]:
        """The first alert so called with this status and these labels, once it has arrived."""

        def look() -> dict[str, Any]:
            for one_status, one_name, alert in self.alerts():
                if (one_status, one_name) == (status, name) and labels.items() <= alert["labels"].items():
                    return alert
            raise AssertionError(self.told())

        return eventually(look, within_seconds)


class WebHook(Notifications):
    """Takes what Alertmanager posts; it answers `status`."""

    def __init__(self) -> None:
        self.received: list[Notification] = []
        self.status = 200
        taken = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if taken.status == 200:
                    taken.received.append(body)
                self.send_response(taken.status)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@contextmanager
def web_hook() -> Iterator[WebHook]:
    hook = WebHook()
    with serving(hook.server):
        yield hook


def render(file: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script that writes Alertmanager's configuration, with nothing in its environment but `settings`."""
    environment = {"PATH": os.environ["PATH"], **settings}
    command = [sys.executable, str(RENDER), str(file)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=30)


def alertmanager_process(folder: Path, settings: Mapping[str, str], port: int) -> Process:
    """An Alertmanager on `port`, not started yet, with the configuration that these settings make."""
    command = tool("alertmanager", "prometheus-alertmanager")
    rendered = render(folder / "alertmanager.yml", settings)
    assert rendered.returncode == 0, rendered.stderr
    arguments = [
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    return Process([command, *arguments], folder / "alertmanager.log", answers(f"http://127.0.0.1:{port}/-/ready"))


def prometheus_process(
    folder: Path,
    configuration: Mapping[str, Any],
    targets: Mapping[str, str],
    environment: Mapping[str, str],
    port: int,
) -> Process:
    """A Prometheus on `port`, not started yet, with our rules and this configuration.

    `targets` has, for each target that the configuration names, the one that holds here.
    """
    command = tool("prometheus")
    here = copy.deepcopy(dict(configuration))
    here["rule_files"] = [str(PROMETHEUS / pattern) for pattern in here["rule_files"]]
    told = [*here["scrape_configs"], *here["alerting"]["alertmanagers"]]
    for group in (static for one in told for static in one["static_configs"]):
        group["targets"] = [targets[target] for target in group["targets"]]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(here))
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=expand-external-labels",
    ]
    is_ready = answers(f"http://127.0.0.1:{port}/-/ready")
    return Process([command, *arguments], folder / "prometheus.log", is_ready, environment=environment)


@contextmanager
def alertmanager(folder: Path, settings: Mapping[str, str]) -> Iterator[httpx.Client]:
    """An Alertmanager with the configuration that these settings make."""
    port = free_port()
    with running(alertmanager_process(folder, settings, port)), _client(port) as client:
        yield client


@contextmanager
def prometheus(
    folder: Path, ports: Mapping[int, int], alertmanager_port: int, environment: Mapping[str, str]
) -> Iterator[httpx.Client]:
    """A Prometheus with the embedded platform's configuration. `ports` has, for its ports, those that hold here."""
    port = free_port()
    here = {**ports, 9090: port, 9093: alertmanager_port}
    targets = {f"127.0.0.1:{usual}": f"127.0.0.1:{actual}" for usual, actual in here.items()}
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    with running(prometheus_process(folder, configuration, targets, environment, port)), _client(port) as client:
        yield client


def _client(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
