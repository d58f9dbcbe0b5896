"""rsyslog's counters for Prometheus: `python exporter.py`, in a container beside it.

rsyslog sends its counters (impstats, a JSON object a line) to TCP port COUNTERS_PORT (9514); they are at /metrics on
EXPORTER_PORT (8080). Both listen on EXPORTER_HOST: everywhere, which in a container is the stack's own network.
A counter begins anew when rsyslog does, as Prometheus expects of counters.
"""

import json
import os
import socketserver
import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

QUEUES = ("ship", "answered")
"""rulesets of rsyslog.conf whose queues hold lines that Elasticsearch has not answered for."""

Report = dict[str, Any]


class LogShipper(Collector):
    """What rsyslog said last, by the names it gives its counters."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._reports: dict[str, Report] = {}
        self._heard_at_seconds: float | None = None

    def hear(self, line: bytes) -> None:
        """Take in a line; one that is no report of counters is passed over."""
        try:
            report = json.loads(line)
            self._reports[f"{report['origin']}/{report['name']}"] = report
        except (ValueError, KeyError, TypeError):
            return
        self._heard_at_seconds = self._now()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Nothing at all before the first report: an unknown number is not zero."""
        elasticsearch = self._reports.get("omelasticsearch/omelasticsearch")
        own = self._reports.get("dynstats.bucket/lines")
        if self._heard_at_seconds is None or elasticsearch is None or own is None:
            return
        counted = own.get("values", {})
        lines = CounterMetricFamily(
            "orderflow_log_shipper_lines", "Log lines, by what became of them.", labels=["outcome"]
        )
        lines.add_metric(["stored"], elasticsearch.get("response.success", 0))
        for outcome in ("known", "refused", "unreadable"):
            lines.add_metric([outcome], counted.get(outcome, 0))
        yield lines
        waiting = [report for name, report in self._reports.items() if name.rpartition("/")[2].split("[")[0] in QUEUES]
        yield GaugeMetricFamily(
            "orderflow_log_shipper_queue_lines",
            "Log lines that were read and that Elasticsearch has not answered for.",
            value=sum(report.get("size", 0) for report in waiting),
        )
        yield GaugeMetricFamily(
            "orderflow_log_shipper_reported_timestamp_seconds",
            "When rsyslog last told its counters (Unix time).",
            value=self._heard_at_seconds,
        )


class _Lines(socketserver.StreamRequestHandler):
    server: "Inbox"

    def handle(self) -> None:
        for line in self.rfile:
            self.server.shipper.hear(line)


class Inbox(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], shipper: LogShipper) -> None:
        self.shipper = shipper
        super().__init__(address, _Lines)


def main() -> None:
    shipper, registry = LogShipper(), CollectorRegistry()
    registry.register(shipper)
    host = os.environ.get("EXPORTER_HOST", "0.0.0.0")  # noqa: S104 - see above
    start_http_server(int(os.environ.get("EXPORTER_PORT", "8080")), host, registry)
    with Inbox((host, int(os.environ.get("COUNTERS_PORT", "9514"))), shipper) as inbox:
        inbox.serve_forever()


if __name__ == "__main__":
    main()
