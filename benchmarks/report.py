"""Results as tables: for a terminal, as Markdown, as JSON."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.processes import TEMPORAL
from benchmarks.results import BARE, OURS, Results, Round

OWN_CPU_AIM_MS = 50.0
RESIDENT_AIM_MB = 800.0
_MB = 1_000_000

_FIGURES: tuple[tuple[str, Callable[[Round], float]], ...] = (
    ("orders/s", attrgetter("orders_per_second")),
    ("latency, median (ms)", attrgetter("latency_median_ms")),
    ("latency, 95th percentile (ms)", attrgetter("latency_p95_ms")),
    ("CPU/order, own processes (ms)", attrgetter("own_cpu_ms")),
    ("CPU/order, Temporal (ms)", attrgetter("temporal_cpu_ms")),
    ("CPU/order, both (ms)", attrgetter("cpu_ms_in_all")),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A name in `header` may have line breaks."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(results: Results) -> list[Table]:
    return [side_by_side(results), by_process(results, OURS), by_process(results, BARE), _aims(results)]


def show(table: Table, console: Console) -> None:
    shown = RichTable(title=table.title, title_justify="left", box=None, header_style="bold", title_style="bold")
    for index, name in enumerate(table.header):
        shown.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    console.print()


def markdown(found: Sequence[Table]) -> str:
    return "\n\n".join(_markdown(table) for table in found) + "\n"


def as_json(results: Results) -> str:
    return json.dumps(dataclasses.asdict(results), indent=1)


def _markdown(table: Table) -> str:
    lines = [
        [name.replace("\n", " ") for name in table.header],
        ["---", *["---:"] * (len(table.header) - 1)],
        *table.rows,
    ]
    return f"**{table.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def side_by_side(results: Results, one: str = OURS, other: str = BARE) -> Table:
    header = ["", *(f"{column}\n{n} open" for n in results.open_orders for column in (one, other, "ratio"))]
    rows = []
    for name, figure in _FIGURES:
        row = [name]
        for n in results.open_orders:
            row += [_number(results.median(subject, n, figure)) for subject in (one, other)]
            row.append(f"{results.ratio(n, figure, one, other):.2f}")
        rows.append(row)
    return Table("Side by side", header, rows)


def by_process(results: Results, subject: str) -> Table:
    """Temporal is the same process in the tables of both."""
    opens = results.open_orders
    memory, idle = results.memory[subject], results.idle_cpu[subject]
    cpu_columns = (f"CPU/order\n{n} open\n(ms)" for n in opens)
    header = ["process", *cpu_columns, "idle CPU\n(ms/s)", "resident\n(MB)", "PSS\n(MB)"]
    rows = []
    for process in results.processes(subject):
        cpu = (results.median(subject, n, partial(Round.cpu_ms, process=process)) for n in opens)
        used = memory[process]
        mb = (used.resident / _MB, used.proportional / _MB)
        rows.append([process, *map(_number, (*cpu, 1000 * idle[process], *mb))])
    rows.append(_sum(results, subject, "own processes", [name for name in memory if name != TEMPORAL]))
    rows.append(_sum(results, subject, "in all", list(memory)))
    return Table(f"By process: {subject}", header, rows)


def _sum(results: Results, subject: str, name: str, members: Sequence[str]) -> list[str]:
    cpu = (
        results.median(subject, n, lambda one: sum(one.cpu_ms(process) for process in members))
        for n in results.open_orders
    )
    idle = 1000 * sum(results.idle_cpu[subject][process] for process in members)
    used = [results.memory[subject][process] for process in members]
    mb = (sum(one.resident for one in used) / _MB, sum(one.proportional for one in used) / _MB)
    return [name, *map(_number, (*cpu, idle, *mb))]


def _aims(results: Results) -> Table:
    busiest = max(results.open_orders)
    cpu = results.median(OURS, busiest, lambda one: one.own_cpu_ms)
    resident = results.resident_bytes / _MB
    rows = [
        _aim(f"CPU/order of own processes, {busiest} open", cpu, OWN_CPU_AIM_MS, "ms"),
        _aim("resident memory of all processes, Temporal included", resident, RESIDENT_AIM_MB, "MB"),
    ]
    return Table("Aims", ["", "aim", "measured", "reached"], rows)


def _aim(name: str, measured: float, aim: float, unit: str) -> list[str]:
    return [name, f"≤ {aim:.0f} {unit}", f"{_number(measured)} {unit}", "yes" if measured <= aim else "no"]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
