"""The stack as local processes, where no Docker engine is: the embedded platform with its effects in PostgreSQL, and
around it what this machine has of the stack's programs, each with the configuration that its container has."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.registry import SERVICES
from tests.conftest import lacking
from tests.faults.disturbances import kill
from tests.support.alerting import WebHook, alertmanager_process, prometheus_process, web_hook
from tests.support.mail import Mailbox, mailbox, text_of
from tests.support.platform import RunningPlatform, running_platform
from tests.support.ports import free_port
from tests.support.postgres import postgres_process, step_databases
from tests.support.processes import Process, answers, running, tool
from tests.support.stack import ROOT, Mail, Stack

OBSERVABILITY = ROOT / "observability"
NOBODY = 65534
ELASTICSEARCH_HOME = "ORDERFLOW_ELASTICSEARCH_HOME"
"""The variable that names the folder of an unpacked Elasticsearch 8.19."""
PORTS = (
    *("elasticsearch", "elasticsearch-transport", "jaeger", "jaeger-health", "otlp", "prometheus", "alertmanager"),
    *("postgres", "log-shipper-exporter", "counters"),
)


class LocalStack(Stack):
    # Temporal has a file of its own.
    refuses_orders_without = frozenset({"temporal"})

    def __init__(
        self,
        *,
        platform: RunningPlatform,
        processes: Mapping[str, Process],
        ports: Mapping[str, int],
        lacks: Mapping[str, str],
        hook: WebHook,
        box: Mailbox,
        spool: Path,
    ) -> None:
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        super().__init__(platform.url, urls, hook, lacks)
        self.log_folder = str(platform.data_dir / "logs")
        self.log_files = log_files(platform.data_dir)
        self.spool = str(spool)
        self._platform = platform
        self._processes = processes
        self._box = box

    def execute(self, part: str, *command: str, text: str | None = None) -> str:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def stop(self, part: str) -> None:
        self.require(part)
        if process := self._processes.get(part):
            process.stop()
        else:
            self._platform.run("stop", part)

    def kill(self, part: str) -> None:
        self.require(part)
        if process := self._processes.get(part):
            process.kill()
            return
        kill(self._platform.pid(part))
        # Else its supervisor starts it again.
        self._platform.run("stop", part)

    def start(self, part: str) -> None:
        self.require(part)
        if process := self._processes.get(part):
            process.start()
        else:
            self._platform.run("start", part)

    def mails(self) -> list[Mail]:
        return [Mail(str(message["Subject"]), text_of(message)) for message in list(self._box.taken)]

    def rows(self, step: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._platform.rows(step, query, *parameters)

    @contextmanager
    def shipper_with_queue_of(self, lines: int) -> Iterator[None]:
        before = self._processes["rsyslog"].environment["LOGS_QUEUE_LINES"]
        self._start_shipper_anew(str(lines))
        try:
            yield
        finally:
            self._start_shipper_anew(before)

    def _start_shipper_anew(self, queue_lines: str) -> None:
        shipper = self._processes["rsyslog"]
        shipper.stop()
        shipper.environment["LOGS_QUEUE_LINES"] = queue_lines
        shipper.start()

    def forget_how_far_it_read(self) -> None:
        for state in Path(self.spool).glob("imfile-state*"):
            state.unlink()


def log_files(data_dir: Path) -> str:
    # Temporal's own lines are in the same folder, and none of ours.
    return f"{data_dir / 'logs'}/[!t]*.jsonl*"


@contextmanager
def local_stack(folder: Path) -> Iterator[LocalStack]:
    """A stack of what is here, up from nothing, and down again."""
    ports = {name: free_port() for name in PORTS}
    lacks: dict[str, str] = {}
    processes: dict[str, Process] = {}
    with ExitStack() as stack:
        # Not pytest's folder, which is closed to the users that the servers run as.
        open_folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="of-stack-")))
        open_folder.chmod(0o755)

        def add(part: str, make: Callable[[], Process], *, needs: str | None = None) -> bool:
            """Start this part, if it is here and what it needs is."""
            if needs in lacks:
                lacks[part] = lacks[needs]
                return False
            try:
                made = make()
            except (pytest.skip.Exception, pytest.fail.Exception) as reason:
                lacks[part] = str(reason)
                return False
            processes[part] = stack.enter_context(running(made))
            return True

        hook, box = stack.enter_context(web_hook()), stack.enter_context(mailbox())
        postgres, url = postgres_process(open_folder, ports["postgres"])
        processes["postgres"] = stack.enter_context(running(postgres))
        data_dir, spool = folder / "data", folder / "spool"
        spool.mkdir()
        (data_dir / "logs").mkdir(parents=True)
        settings = {
            **step_databases(url),
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_TRACES_EXPORTER": "none",
            **box.settings,
        }
        if add("elasticsearch", lambda: _elasticsearch(open_folder, ports)):
            _make_data_stream(ports)
        if add("jaeger", lambda: _jaeger(folder, ports), needs="elasticsearch"):
            settings["OTEL_TRACES_EXPORTER"] = "otlp"
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{ports['otlp']}"
        add("rsyslog", lambda: _rsyslog(folder, spool, log_files(data_dir), ports), needs="elasticsearch")
        add("log-shipper-exporter", lambda: _exporter(folder, ports), needs="rsyslog")
        add("alertmanager", lambda: _alertmanager(folder, ports, hook, box))
        platform = stack.enter_context(running_platform(data_dir, **settings))
        add("prometheus", lambda: _prometheus(folder, ports, platform, lacks), needs="alertmanager")
        here = LocalStack(
            platform=platform, processes=processes, ports=ports, lacks=lacks, hook=hook, box=box, spool=spool
        )
        stack.callback(here.close)
        yield here


def _container(service: str, file: str = "docker-compose.observability.yml") -> dict[str, str]:
    """The environment that the Compose file gives a service."""
    text = (ROOT / file).read_text().replace("!override", "")
    environment: dict[str, str] = yaml.safe_load(text)["services"][service]["environment"]
    return environment


def _elasticsearch(folder: Path, ports: Mapping[str, int]) -> Process:
    home = os.environ.get(ELASTICSEARCH_HOME)
    if not home:
        lacking(f"Elasticsearch: no Docker engine answers, and {ELASTICSEARCH_HOME} names no unpacked one")
    # A copy, which its user may write into.
    own = folder / "elasticsearch"
    shutil.copytree(home, own, symlinks=True)
    user = None
    if os.geteuid() == 0:
        # It refuses to be root.
        user = NOBODY
        for path in (own, *own.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    container = _container("elasticsearch")
    settings = {name: value for name, value in container.items() if "." in name} | {
        "network.host": "127.0.0.1",
        "http.port": str(ports["elasticsearch"]),
        "transport.port": str(ports["elasticsearch-transport"]),
    }
    return Process(
        [str(own / "bin" / "elasticsearch"), *(f"-E{name}={value}" for name, value in settings.items())],
        folder / "elasticsearch.log",
        answers(f"http://127.0.0.1:{ports['elasticsearch']}/_cluster/health?wait_for_status=yellow&timeout=1s"),
        environment={"ES_JAVA_OPTS": container["ES_JAVA_OPTS"], "ES_TMPDIR": str(own / "logs"), "HOME": str(own)},
        user=user,
        ready_seconds=180,
    )


def _make_data_stream(ports: Mapping[str, int]) -> None:
    url = f"http://127.0.0.1:{ports['elasticsearch']}"
    done = subprocess.run(
        [sys.executable, str(OBSERVABILITY / "elasticsearch" / "setup.py")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "ELASTICSEARCH_URL": url},
        timeout=150,
    )
    assert done.returncode == 0, done.stderr


def _jaeger(folder: Path, ports: Mapping[str, int]) -> Process:
    """Version 2, whose command is `jaeger`, or else version 1."""
    if command := shutil.which("jaeger"):
        return _jaeger_2(command, folder, ports)
    command = tool("jaeger-all-in-one")
    container = _container("jaeger", "observability/jaeger/docker-compose.v1.yml") | {
        "ES_SERVER_URLS": f"http://127.0.0.1:{ports['elasticsearch']}",
        "QUERY_UI_CONFIG": str(OBSERVABILITY / "jaeger" / "ui.json"),
    }
    listens = {
        "query.http-server.host-port": ports["jaeger"],
        "admin.http.host-port": ports["jaeger-health"],
        "collector.otlp.http.host-port": ports["otlp"],
    }
    # What nobody here asks listens where there is room.
    unused = (
        *("collector.otlp.grpc.host-port", "collector.grpc-server.host-port", "collector.http-server.host-port"),
        *("query.grpc-server.host-port", "http-server.host-port", "processor.jaeger-binary.server-host-port"),
        *("processor.jaeger-compact.server-host-port", "processor.zipkin-compact.server-host-port"),
    )
    listens |= {name: free_port() for name in unused}
    return Process(
        [command, *(f"--{name}=127.0.0.1:{port}" for name, port in listens.items())],
        folder / "jaeger.log",
        answers(f"http://127.0.0.1:{ports['jaeger-health']}/"),
        environment=container,
    )


def _jaeger_2(command: str, folder: Path, ports: Mapping[str, int]) -> Process:
    text = (OBSERVABILITY / "jaeger" / "config.yaml").read_text()
    usual = {16686: ports["jaeger"], 13133: ports["jaeger-health"], 4318: ports["otlp"], 4317: free_port()}
    for port, here in usual.items():
        text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{here}")
    (folder / "jaeger.yaml").write_text(text.replace("/etc/jaeger/", f"{OBSERVABILITY / 'jaeger'}/"))
    return Process(
        # Its own metrics would listen on a port that another may have.
        [command, "--config", str(folder / "jaeger.yaml"), "--set=service.telemetry.metrics.level=none"],
        folder / "jaeger.log",
        answers(f"http://127.0.0.1:{ports['jaeger-health']}/status"),
        environment={"ELASTICSEARCH_URL": f"http://127.0.0.1:{ports['elasticsearch']}"},
    )


def _rsyslog(folder: Path, spool: Path, files: str, ports: Mapping[str, int]) -> Process:
    command = tool("rsyslogd")
    environment = {
        "ELASTICSEARCH_URL": f"http://127.0.0.1:{ports['elasticsearch']}",
        "ELASTICSEARCH_USERNAME": "",
        "ELASTICSEARCH_PASSWORD": "",
        "LOGS_QUEUE_LINES": "1000000",
        "COUNTERS_HOST": "127.0.0.1",
        "COUNTERS_PORT": str(ports["counters"]),
    }
    text = (OBSERVABILITY / "rsyslog" / "rsyslog.conf").read_text()
    file = folder / "rsyslog.conf"
    file.write_text(text.replace("/var/lib/orderflow/logs/*.jsonl*", files).replace("/var/spool/rsyslog", str(spool)))
    checked = subprocess.run(
        [command, "-N1", "-f", str(file)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=30,
    )
    if "could not load module" in checked.stderr:
        lacking(f"rsyslog's modules, such as Debian's rsyslog-elasticsearch, are not all here: {checked.stderr[-300:]}")
    assert checked.returncode == 0, checked.stderr
    return Process(
        [command, "-n", "-i", "NONE", "-f", str(file)], folder / "rsyslog.log", lambda: True, environment=environment
    )


def _exporter(folder: Path, ports: Mapping[str, int]) -> Process:
    return Process(
        [sys.executable, str(OBSERVABILITY / "rsyslog" / "exporter.py")],
        folder / "exporter.log",
        answers(f"http://127.0.0.1:{ports['log-shipper-exporter']}/metrics"),
        environment={
            "EXPORTER_HOST": "127.0.0.1",
            "EXPORTER_PORT": str(ports["log-shipper-exporter"]),
            "COUNTERS_PORT": str(ports["counters"]),
        },
    )


def _alertmanager(folder: Path, ports: Mapping[str, int], hook: WebHook, box: Mailbox) -> Process:
    settings = {
        "ORDERFLOW_ALERT_WEBHOOK_URL": hook.url,
        "ORDERFLOW_ALERT_MAIL_TO": "oncall@orderflow.example",
        **box.settings,
    }
    return alertmanager_process(folder, settings, ports["alertmanager"])


def _prometheus(folder: Path, ports: Mapping[str, int], platform: RunningPlatform, lacks: Mapping[str, str]) -> Process:
    offset = int(platform.environment["ORDERFLOW_HEALTH_PORT_OFFSET"])
    here = {service.name: service.port + offset for service in SERVICES}
    here |= {"api": int(platform.environment["ORDERFLOW_API_PORT"])}
    here |= {part: ports[part] for part in ("alertmanager", "prometheus", "log-shipper-exporter")}
    usual = {"alertmanager": "alertmanager:9093", "prometheus": "127.0.0.1:9090"}
    targets = {usual.get(part, f"{part}:8080"): f"127.0.0.1:{port}" for part, port in here.items()}
    configuration = yaml.safe_load((OBSERVABILITY / "stack" / "prometheus.yml").read_text())
    jobs = configuration["scrape_configs"]
    # Where no logs are shipped nobody asks for the shipper's counters.
    configuration["scrape_configs"] = [
        job for job in jobs if not (job["job_name"] == "log-shipper" and "log-shipper-exporter" in lacks)
    ]
    links = dict.fromkeys(_container("prometheus"), "")
    return prometheus_process(folder, configuration, targets, links, ports["prometheus"])
