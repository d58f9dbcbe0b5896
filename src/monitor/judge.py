"""From what was seen of a task queue over time to its state. Pure.

Heartbeats come every 5 s. A worker is taken for dead sooner while tasks wait that it would have taken, were it alive.
"""

from dataclasses import dataclass, replace

from contracts.queues import QueueState
from contracts.registry import Thresholds
from monitor.observation import Observation

FRESH_SECONDS = 12.0
"""A worker counts as live while its heartbeat is younger: two missed ones and some slack."""
OVERDUE_SECONDS = 7.5
"""The same while tasks wait and it had said that it could take more: one missed heartbeat and some slack."""
_NOTICED_SECONDS = 3.0
"""A task that waits for less says nothing: a live worker may be about to take it."""
GRACE_SECONDS = {QueueState.ORPHANED: 30.0, QueueState.ABSENT: 60.0}
"""After a time in which nothing was known (a start, a server that was down) workers get this long to be heard of."""
_SHORT_GAP_SECONDS = 10.0
"""A server that did not answer for less than this has lost nothing, and nor have its workers."""
_LOOKS_TO_CHANGE = 2
"""How many looks in a row must agree before a state is left for another: one odd answer changes nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Moments are seconds on the clock of the looks; `since_seconds` is when the state began."""

    state: QueueState
    since_seconds: float
    candidate: QueueState | None = None
    """Another state that the newest looks speak for."""
    candidate_since_seconds: float = 0.0
    candidate_looks: int = 0
    answered_seconds: float | None = None
    """When the server last answered."""
    known_since_seconds: float = 0.0
    """Since when it has answered, short gaps apart."""
    served_since_seconds: float | None = None
    """Since when workers have been live; None while none is."""
    heard_seconds: float | None = None
    """While workers are live: the newest sign of life."""
    lost_seconds: float | None = None
    """When the last worker was last heard of; None while one is live."""
    was_served: bool = False
    """Whether a worker was live since the server has answered."""
    waited_seconds: float | None = None
    """When tasks were last seen to wait; None since a worker was live."""


def first(at_seconds: float) -> Verdict:
    """Before the first look nothing is known."""
    return Verdict(QueueState.UNKNOWN, at_seconds)


def judge(before: Verdict, seen: Observation | None, at_seconds: float, thresholds: Thresholds) -> Verdict:
    """The verdict after one look more; `seen` is None when the server gave no answer."""
    if seen is None:
        since = before.since_seconds if before.state is QueueState.UNKNOWN else at_seconds
        return replace(before, state=QueueState.UNKNOWN, since_seconds=since, candidate=None, candidate_looks=0)
    noted = _noted(_remembering(before, at_seconds), seen, at_seconds)
    condition = _condition(noted, seen, at_seconds, thresholds)
    if condition is before.state:
        return replace(noted, candidate=None, candidate_looks=0)
    same = condition is before.candidate
    since = before.candidate_since_seconds if same else at_seconds
    looks = before.candidate_looks + 1 if same else 1
    if looks >= _LOOKS_TO_CHANGE and _is_due(condition, noted, at_seconds, thresholds):
        began = since if condition is QueueState.OK else _began(condition, noted, seen, at_seconds)
        return replace(noted, state=condition, since_seconds=began, candidate=None, candidate_looks=0)
    return replace(noted, candidate=condition, candidate_since_seconds=since, candidate_looks=looks)


def _remembering(before: Verdict, at_seconds: float) -> Verdict:
    """What was known before still holds, unless the server was away for long."""
    answered = before.answered_seconds
    if answered is None or at_seconds - answered > _SHORT_GAP_SECONDS:
        before = replace(
            before,
            known_since_seconds=at_seconds,
            served_since_seconds=None,
            heard_seconds=None,
            lost_seconds=None,
            was_served=False,
            waited_seconds=None,
        )
    return replace(before, answered_seconds=at_seconds)


def _noted(before: Verdict, seen: Observation, at_seconds: float) -> Verdict:
    """`before`, with what this look says of the workers."""
    heard = at_seconds - seen.silence_seconds if seen.silence_seconds is not None else None
    if _is_served(seen):
        since = before.served_since_seconds if before.served_since_seconds is not None else at_seconds
        return replace(
            before,
            served_since_seconds=since,
            heard_seconds=heard,
            lost_seconds=None,
            was_served=True,
            waited_seconds=None,
        )
    lost = before.lost_seconds
    if lost is None:
        fell_silent = heard is not None and (before.heard_seconds is None or heard >= before.heard_seconds - 1)
        # One that stopped by itself is listed no more: it was there until now, whatever others are still listed.
        lost = heard if fell_silent else at_seconds
    waited = at_seconds if _waits(seen) else before.waited_seconds
    return replace(before, served_since_seconds=None, heard_seconds=None, lost_seconds=lost, waited_seconds=waited)


def _is_served(seen: Observation) -> bool:
    fresh_seconds = OVERDUE_SECONDS if _waits(seen) and seen.has_free_slots else FRESH_SECONDS
    return seen.live_workers(fresh_seconds) > 0


def _waits(seen: Observation) -> bool:
    return seen.backlog > 0 and seen.oldest_seconds >= _NOTICED_SECONDS


def _condition(noted: Verdict, seen: Observation, at_seconds: float, thresholds: Thresholds) -> QueueState:
    """What this look speaks for."""
    if noted.served_since_seconds is None:
        return QueueState.ORPHANED if _waits(seen) else QueueState.ABSENT
    # After an outage old tasks are no news: what counts is how long they have waited although workers live.
    waited = min(seen.oldest_seconds, at_seconds - noted.served_since_seconds) if seen.backlog > 0 else 0.0
    # Left at half of what it takes to enter, so that a queue at the border does not flap.
    bound = thresholds.stalled_seconds / (2 if noted.state is QueueState.STALLED else 1)
    return QueueState.STALLED if waited > bound else QueueState.OK


def _is_due(condition: QueueState, noted: Verdict, at_seconds: float, thresholds: Thresholds) -> bool:
    """Whether no worker has been heard of for long enough. What else there is to wait for, tasks have waited for."""
    if condition not in GRACE_SECONDS:
        return True
    assert noted.lost_seconds is not None
    silent = at_seconds - noted.lost_seconds
    if condition is QueueState.ABSENT and noted.waited_seconds is not None:
        # Tasks that wait no more were most likely taken, by a worker that has not been heard of yet.
        silent = min(silent, at_seconds - noted.waited_seconds)
    if not noted.was_served and at_seconds - noted.known_since_seconds < GRACE_SECONDS[condition]:
        return False
    return silent >= (thresholds.orphaned_seconds if condition is QueueState.ORPHANED else thresholds.absent_seconds)


def _began(condition: QueueState, noted: Verdict, seen: Observation, at_seconds: float) -> float:
    """When an unwell state began: with the last sign of life, or with the oldest task that waits."""
    waits_since = at_seconds - seen.oldest_seconds
    if condition is QueueState.STALLED:
        return waits_since
    assert noted.lost_seconds is not None
    return max(noted.lost_seconds, waits_since) if condition is QueueState.ORPHANED else noted.lost_seconds
