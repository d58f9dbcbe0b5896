"""The queue monitor's judgement: right in time, and quiet when nothing is wrong."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.registry import Thresholds
from contracts.queues import QueueState, Verdict, first, judge
from monitor.observation import Observation

THRESHOLDS = Thresholds()
EVERY_SECONDS = 2.0

FINE = Observation(0, 0.0, (1.0,))
BUSY = Observation(30, 20.0, (1.0,))
GONE = Observation(0, 0.0, (40.0,))
NEVER_THERE = Observation(0, 0.0)
WAITING = Observation(3, 2.0)
STUCK = Observation(3, 61.0, (1.0,))
looks = st.sampled_from([FINE, BUSY, GONE, NEVER_THERE, WAITING, STUCK, None])


def verdicts(seen: Iterable[Observation | None], start: Verdict | None = None) -> list[Verdict]:
    """The verdict after each look, two seconds apart."""
    verdict = start or first(0.0)
    found = []
    for number, look in enumerate(seen):
        verdict = judge(verdict, look, number * EVERY_SECONDS, THRESHOLDS)
        found.append(verdict)
    return found


@pytest.mark.parametrize(
    ("seen", "state", "within_seconds"),
    [
        (FINE, "ok", 4),
        (BUSY, "ok", 4),
        (GONE, "absent", 6),
        (NEVER_THERE, "absent", 6),
        (WAITING, "orphaned", 8),
        (STUCK, "stalled", 4),
        (None, "unknown", 0),
    ],
)
def test_what_lasts_is_told_in_time(seen: Observation | None, state: str, within_seconds: float) -> None:
    """Whatever a queue was before, what is seen of it again and again becomes its state soon, and stays so."""
    for before in QueueState:
        found = verdicts([seen] * 30, Verdict(before, -100.0))
        told = [verdict.state for verdict in found]
        assert set(told[int(within_seconds / EVERY_SECONDS) :]) == {state}


@given(st.lists(looks, max_size=30))
def test_no_answer_is_never_taken_for_ok(seen: list[Observation | None]) -> None:
    """While the server gives no answer, the state is unknown."""
    assert verdicts([*seen, None])[-1].state is QueueState.UNKNOWN


@given(st.sampled_from([GONE, WAITING, STUCK]), st.integers(0, 10))
def test_one_odd_look_changes_nothing(odd: Observation, place: int) -> None:
    """A single answer that speaks for another state leaves a queue that is well alone."""
    seen = [FINE] * 12
    seen[place] = odd
    found = verdicts(seen, Verdict(QueueState.OK, -100.0))
    assert {verdict.state for verdict in found} == {QueueState.OK}


@given(st.lists(looks, min_size=1, max_size=40))
def test_a_state_begins_no_later_than_it_is_told(seen: list[Observation | None]) -> None:
    """The time since when a queue is in its state never lies ahead, and never goes back while the state stays."""
    at_seconds = 0.0
    before = first(0.0)
    for verdict in verdicts(seen):
        assert verdict.since_seconds <= at_seconds
        assert verdict.state is not before.state or verdict.since_seconds == before.since_seconds
        before = verdict
        at_seconds += EVERY_SECONDS


@given(st.lists(st.sampled_from([FINE, BUSY]), max_size=40))
def test_idle_and_busy_are_both_well(seen: list[Observation]) -> None:
    """A queue with a live worker is well whether nothing or much waits, as long as nothing waits too long."""
    assert {verdict.state for verdict in verdicts(seen, Verdict(QueueState.OK, -100.0))} <= {QueueState.OK}
