"""What processes use: CPU time and memory, by name."""

import os
from collections.abc import Mapping
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
        machine = psutil.cpu_times()
        # Less what is counted here already: what is left is the noise under which all this is measured.
        found[OTHERS] = machine.user + machine.system + machine.nice - sum(found.values())
        return found

    def memory(self) -> dict[str, Memory]:
        return {name: _memory(process) for name, process in self._processes.items()}


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _memory(process: psutil.Process) -> Memory:
    found = process.memory_full_info()
    # Only Linux knows the proportional size.
    return Memory(found.rss, getattr(found, "pss", found.rss))
