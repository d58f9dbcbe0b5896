"""How each step is tried: attempts, time bounds and which answers end it, in one table.

A step without a row gets `DEFAULT`, so a new step needs none.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.common import RetryPolicy

from contracts.errors import REFUSAL


@dataclass(frozen=True, slots=True)
class Policy:
    """Bounds of one step, in seconds. How long it may take in all is the order's own (`step_timeout_seconds`)."""

    attempt_seconds: float = 30
    """One attempt, from a worker taking it to its answer."""
    heartbeat_seconds: float = 10
    """Silence after which a worker counts as dead and the attempt is given to another."""
    first_retry_seconds: float = 1
    longest_retry_seconds: float = 60
    """Retries back off, doubling, up to this: the longest that an order waits once a broken neighbour is well again."""

    @property
    def retries(self) -> RetryPolicy:
        """A refusal is an answer and ends the step; anything else is a fault and is tried again until time is up."""
        return RetryPolicy(
            initial_interval=timedelta(seconds=self.first_retry_seconds),
            maximum_interval=timedelta(seconds=self.longest_retry_seconds),
            non_retryable_error_types=[REFUSAL],
        )


DEFAULT = Policy()

POLICIES: dict[str, Policy] = {
    "payment": Policy(),
    "inventory": Policy(attempt_seconds=15),
    "shipping": Policy(attempt_seconds=60),
    "notification": Policy(longest_retry_seconds=300),
}


def policy(step: str) -> Policy:
    return POLICIES.get(step, DEFAULT)
