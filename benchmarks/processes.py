"""What processes use: CPU time and memory, by name."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

TEMPORAL = "temporal"
GENERATOR = "(load generator)"
OTHERS = "(others on the machine)"


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes. `resident` counts a page in every process that has it; `proportional` shares it among them."""

    resident: int
    proportional: int


class Processes:
    """A group of processes that stay the same: a look at one that has ended raises psutil.NoSuchProcess."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time since each process began, user and system, with that of this process and of the whole machine."""
        found = {name: _cpu_seconds(process) for name, process in self._processes.items()}
        found[GENERATOR] = _cpu_seconds(psutil.Process(os.getpid()))
        # Less what is counted here already: what is left is the noise under which all this is measured.
        found[OTHERS] = machine_cpu_seconds() - sum(found.values())
        return found

    def memory(self) -> dict[str, Memory]:
        return {name: _memory(process) for name, process in self._processes.items()}


def machine_cpu_seconds() -> float:
    """CPU time that the whole machine has used."""
    machine = psutil.cpu_times()
    return machine.user + machine.system + machine.nice


def family_cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes and all that they have started, also of those that have ended."""
    used = 0.0
    for pid in pids:
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for process in family:
            # One that ends meanwhile is told of by its parent from then on.
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system + times.children_user + times.children_system
    return used


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _memory(process: psutil.Process) -> Memory:
    found = process.memory_full_info()
    # Only Linux knows the proportional size.
    return Memory(found.rss, getattr(found, "pss", found.rss))
