"""What telemetry costs: the platform with all of it, beside the platform with none.

Two platforms are up, and rounds of the two alternate, so that a machine that gets slower or faster does so for both.
"""

import os
import platform
import signal
import sys
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks import report
from benchmarks.load import PlaceAndWait, through_api
from benchmarks.orders import Options, Subject, console, measure
from benchmarks.ours import RunningPlatform, running_platform
from benchmarks.processes import Processes
from benchmarks.receiver import running_receiver
from benchmarks.report import Table
from benchmarks.results import Results

ON = "on"
OFF = "off"
THROUGHPUT_LOST_AIM = 0.05


@dataclass(frozen=True, slots=True)
class _Orders:
    """Opens the way for orders to one platform."""

    url: str

    def __call__(self) -> AbstractAsyncContextManager[PlaceAndWait]:
        return through_api(self.url)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rounds", default=5, type=click.IntRange(1), help="How often each measurement is repeated.")
@click.option("--lone-orders", default=60, type=click.IntRange(2), help="Orders a round, one open at a time.")
@click.option("--busy-orders", default=300, type=click.IntRange(2), help="Orders a round, several open at once.")
@click.option("--open", "open_orders", default=20, type=click.IntRange(2), help="How many are open at once, then.")
@click.option("--most-minutes", default=8.0, help="No further round is begun after this time.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables to this file.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write each round to it.")
def main(**given: Any) -> None:
    """Measure what telemetry costs: traces and metrics sent over OTLP and log files, beside OTEL_SDK_DISABLED=true.

    Log files are written by both: they are no part of OpenTelemetry's SDK.
    """
    options = Options(**given, settings={})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Leave nothing running.
    results = run(options)
    found = [
        report.side_by_side(results, ON, OFF),
        report.by_process(results, ON),
        report.by_process(results, OFF),
        _aim(results),
    ]
    console.print(f"\nPython {platform.python_version()}, {os.cpu_count()} CPUs. Medians of the rounds.\n")
    for table in found:
        report.show(table, console)
    if options.markdown:
        options.markdown.write_text(report.markdown(found))
    if options.json_file:
        options.json_file.write_text(report.as_json(results))


def run(options: Options) -> Results:
    """Bring both up, measure, and take both down."""
    console.print("Starting two platforms and a receiver …", style="dim")
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as folder,
        running_receiver() as receiver_url,
        running_platform(Path(folder) / ON, {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver_url}) as on,
        running_platform(Path(folder) / OFF, {"OTEL_SDK_DISABLED": "true"}) as off,
    ):
        return measure([_subject(ON, on), _subject(OFF, off)], options.plan())


def _subject(name: str, running: RunningPlatform) -> Subject:
    return Subject(name, _Orders(running.api_url), Processes(running.pids))


def _aim(results: Results) -> Table:
    def lost(open_orders: int) -> float:
        return 1 - results.ratio(open_orders, lambda one: one.orders_per_second, ON, OFF)

    rows = [
        [
            f"throughput lost, {n} open",
            f"≤ {THROUGHPUT_LOST_AIM:.0%}",
            f"{lost(n):.1%}",
            "yes" if lost(n) <= THROUGHPUT_LOST_AIM else "no",
        ]
        for n in results.open_orders
    ]
    return Table("Aims", ["", "aim", "measured", "reached"], rows)


if __name__ == "__main__":
    main()
