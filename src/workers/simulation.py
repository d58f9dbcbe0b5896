"""What the simulators of outside companies share: how slow and how unreliable they are when asked to be."""

import asyncio
import hashlib
from collections import Counter

from pydantic import Field

from service.settings import Settings


class SimulatorSettings(Settings):
    simulator_slow_seconds: float = Field(default=5.0, ge=0)
    """How long a "slow" magic value takes."""


class OutsideUnavailable(Exception):
    """The outside did not answer: a technical fault, so the step is tried again."""


class Temper:
    """Slowness and faults on demand."""

    FLAKY_FAILURES = 2

    def __init__(self, settings: SimulatorSettings) -> None:
        self._slow_seconds = settings.simulator_slow_seconds
        self._calls: Counter[str] = Counter()

    async def be_slow(self) -> None:
        await asyncio.sleep(self._slow_seconds)

    def fail_at_first(self, key: str) -> None:
        """Raises OutsideUnavailable at the first two calls for `key` in this process."""
        self._calls[key] += 1
        if self._calls[key] <= self.FLAKY_FAILURES:
            raise OutsideUnavailable("simulated: no answer")


def reference(prefix: str, key: str) -> str:
    """An id as the outside would give it; the same for the same key."""
    return f"{prefix}_{hashlib.sha256(key.encode()).hexdigest()[:24]}"
