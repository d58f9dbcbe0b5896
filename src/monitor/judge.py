"""From what was seen of a task queue over time to its state. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

from contracts.registry import Thresholds
from monitor.observation import Observation

FRESH_SECONDS = 12.0
"""A worker counts as live while its heartbeat is younger: two missed ones (of 5 s) and some slack."""
_LOOKS_TO_CHANGE = 2
"""How many looks in a row must agree before a state is left for another: one odd answer changes nothing."""


class QueueState(StrEnum):
    OK = "ok"
    ABSENT = "absent"
    """No live worker; nothing waits yet."""
    ORPHANED = "orphaned"
    """No live worker, and tasks wait."""
    STALLED = "stalled"
    """Workers live, and yet tasks wait too long."""
    UNKNOWN = "unknown"
    """The server can't be asked. Never taken for ok."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`since_seconds` is when the state began, on the clock of the looks."""

    state: QueueState
    since_seconds: float
    candidate: QueueState | None = None
    """Another state that the newest looks speak for."""
    candidate_since_seconds: float = 0.0
    candidate_looks: int = 0


def first(at_seconds: float) -> Verdict:
    """Before the first look nothing is known."""
    return Verdict(QueueState.UNKNOWN, at_seconds)


def judge(before: Verdict, seen: Observation | None, at_seconds: float, thresholds: Thresholds) -> Verdict:
    """The verdict after one look more; `seen` is None when the server gave no answer."""
    condition = _condition(seen, thresholds)
    if condition is before.state:
        return replace(before, candidate=None, candidate_looks=0)
    if condition is QueueState.UNKNOWN:
        return Verdict(condition, at_seconds)
    same = condition is before.candidate
    since = before.candidate_since_seconds if same else at_seconds
    looks = before.candidate_looks + 1 if same else 1
    if looks >= _LOOKS_TO_CHANGE and at_seconds - since >= _dwell_seconds(condition, thresholds):
        return Verdict(condition, since)
    return replace(before, candidate=condition, candidate_since_seconds=since, candidate_looks=looks)


def _condition(seen: Observation | None, thresholds: Thresholds) -> QueueState:
    """What one look by itself speaks for."""
    if seen is None:
        return QueueState.UNKNOWN
    if seen.live_workers(FRESH_SECONDS):
        stalled = seen.backlog > 0 and seen.oldest_seconds > thresholds.stalled_seconds
        return QueueState.STALLED if stalled else QueueState.OK
    return QueueState.ORPHANED if seen.backlog > 0 else QueueState.ABSENT


def _dwell_seconds(condition: QueueState, thresholds: Thresholds) -> float:
    """How long looks must have spoken for a state. A heartbeat's age has waited already, and so has a stalled task."""
    match condition:
        case QueueState.ABSENT:
            return max(0.0, thresholds.absent_seconds - FRESH_SECONDS)
        case QueueState.ORPHANED:
            return max(0.0, thresholds.orphaned_seconds)
        case _:
            return 0.0
