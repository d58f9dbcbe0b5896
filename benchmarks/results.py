"""What was measured, and what follows from it. Pure."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.processes import GENERATOR, OTHERS, TEMPORAL, Memory

OURS = "orderflow"
BARE = "bare"
NOT_OWN = frozenset({TEMPORAL, GENERATOR, OTHERS})


@dataclass(frozen=True, slots=True)
class Round:
    """So many orders, one after the other or several at once. Times in seconds."""

    subject: str
    """What the orders were sent to, as in OURS or BARE."""
    open_orders: int
    orders: int
    seconds: float
    latencies: Sequence[float]
    """From an order's being sent to its end being known, one for each."""
    cpu_seconds: Mapping[str, float]
    """By process, during this round."""

    @property
    def orders_per_second(self) -> float:
        return self.orders / self.seconds

    @property
    def latency_median_ms(self) -> float:
        return 1000 * statistics.median(self.latencies)

    @property
    def latency_p95_ms(self) -> float:
        return 1000 * statistics.quantiles(self.latencies, n=20, method="inclusive")[-1]

    def cpu_ms(self, process: str) -> float:
        """CPU milliseconds for each order."""
        return 1000 * self.cpu_seconds[process] / self.orders

    @property
    def own_cpu_ms(self) -> float:
        """For each order, in all processes but Temporal and the load generator."""
        return sum(self.cpu_ms(process) for process in self.cpu_seconds if process not in NOT_OWN)

    @property
    def temporal_cpu_ms(self) -> float:
        return self.cpu_ms(TEMPORAL)

    @property
    def cpu_ms_in_all(self) -> float:
        return self.own_cpu_ms + self.temporal_cpu_ms

    @property
    def others_share(self) -> float:
        """How much of one CPU everything else on the machine took."""
        return self.cpu_seconds[OTHERS] / self.seconds


@dataclass(frozen=True, slots=True)
class Results:
    """`idle_cpu` is CPU seconds a second with no order open; `memory` is that after all the orders."""

    rounds: Sequence[Round]
    idle_cpu: Mapping[str, Mapping[str, float]]
    memory: Mapping[str, Mapping[str, Memory]]
    """Like `idle_cpu`, by subject, then by process."""

    def of(self, subject: str, open_orders: int) -> list[Round]:
        return [one for one in self.rounds if (one.subject, one.open_orders) == (subject, open_orders)]

    def median(self, subject: str, open_orders: int, figure: Callable[[Round], float]) -> float:
        return statistics.median(figure(one) for one in self.of(subject, open_orders))

    def ratio(self, open_orders: int, figure: Callable[[Round], float], one: str = OURS, other: str = BARE) -> float:
        """`one` to `other`: the median of the rounds' own ratios, since those two ran right after each other."""
        pairs = zip(self.of(one, open_orders), self.of(other, open_orders), strict=True)
        return statistics.median(figure(a) / figure(b) for a, b in pairs)

    @property
    def open_orders(self) -> list[int]:
        return sorted({one.open_orders for one in self.rounds})

    def processes(self, subject: str) -> list[str]:
        return list(self.memory[subject])

    @property
    def resident_bytes(self) -> int:
        """The platform's own processes and Temporal."""
        return sum(memory.resident for memory in self.memory[OURS].values())
