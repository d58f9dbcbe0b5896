"""The queue monitor's judgement: right in time, and quiet when nothing is wrong, whatever the moments of looking.

A small model of a queue stands for the server: workers send a heartbeat every 5 s, the server answers about tasks from
what it has cached for 5 s, and the monitor looks every 2 s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.queues import QueueState
from contracts.registry import Thresholds
from monitor.judge import Verdict, first, judge
from monitor.observation import Observation

THRESHOLDS = Thresholds()
LOOK_EVERY = 2.0
BEAT_EVERY = 5.0
CACHED_FOR = 5.0
LONG_AGO = -1_000.0
FOREVER = 1e9

moments = st.floats(0, 5, exclude_max=True)
"""Where in its period something falls."""


@dataclass(frozen=True)
class Worker:
    """Serves from `start` to `end`. One that is stopped says so; one that is killed stays listed."""

    start: float = LONG_AGO
    end: float = FOREVER
    killed: bool = False
    first_beat_after: float = 0.0
    free_slots: bool = True

    def age(self, now: float) -> float | None:
        """Of its newest sign of life: its last heartbeat, or before the first one its first poll."""
        if now < self.start or (now >= self.end and not self.killed):
            return None
        beats_end = min(now, self.end)
        begun = self.start + self.first_beat_after
        if beats_end < begun:
            return now - self.start
        last = begun + (beats_end - begun) // BEAT_EVERY * BEAT_EVERY
        return now - last


@dataclass(frozen=True)
class Model:
    workers: Sequence[Worker] = ()
    tasks: Sequence[tuple[float, float]] = ()
    """When each was added, and when it was taken."""
    look_at: float = 0.0
    read_at: float = 0.0
    silent: Sequence[tuple[float, float]] = field(default=())
    """When the server does not answer."""

    def observed(self, now: float) -> Observation | None:
        if any(begun <= now < ended for begun, ended in self.silent):
            return None
        read = now - (now - self.read_at) % CACHED_FOR
        waiting = [read - added for added, taken in self.tasks if added <= read < taken]
        ages = [(age, worker) for worker in self.workers if (age := worker.age(now)) is not None]
        return Observation(
            backlog=len(waiting),
            oldest_seconds=max(waiting, default=0.0),
            ages_seconds=tuple(sorted(age for age, _ in ages)),
            has_free_slots=any(worker.free_slots for _, worker in ages),
        )

    def verdicts(self, until: float, start: float = -60.0) -> list[tuple[float, Verdict]]:
        """The verdict after each look."""
        now = start + self.look_at % LOOK_EVERY
        verdict = first(now)
        found = []
        while now <= until:
            verdict = judge(verdict, self.observed(now), now, THRESHOLDS)
            found.append((now, verdict))
            now += LOOK_EVERY
        return found

    def states(self, since: float, until: float) -> list[QueueState]:
        return [verdict.state for at, verdict in self.verdicts(until) if at >= since]

    def first_time(self, state: QueueState, until: float = 120.0, after: float = 0.0) -> float | None:
        """When, from `after` on, the queue is first told to be in this state."""
        return next((at for at, verdict in self.verdicts(until) if at >= after and verdict.state is state), None)


def within(at: float | None, seconds: float) -> bool:
    return at is not None and at <= seconds


@given(moments, moments, moments)
def test_a_killed_worker_is_told_within_20_seconds(beat: float, look: float, read: float) -> None:
    """The only worker dies with nothing waiting: the queue is absent within 20 s."""
    model = Model([Worker(LONG_AGO + beat, end=0.0, killed=True)], look_at=look, read_at=read)
    assert within(model.first_time(QueueState.ABSENT), 20.0)


@given(moments, moments, moments, st.booleans(), st.floats(0, 60))
def test_the_first_orphan_is_told_within_15_seconds(
    beat: float, look: float, read: float, killed: bool, gone_for: float
) -> None:
    """A task comes to a queue whose only worker was killed or stopped just now or a while ago: orphaned within 15 s."""
    worker = Worker(LONG_AGO + beat, end=-gone_for, killed=killed)
    model = Model([worker], tasks=[(0.0, FOREVER)], look_at=look, read_at=read)
    assert within(model.first_time(QueueState.ORPHANED), 15.0)


@given(moments, moments)
def test_the_first_orphan_of_a_queue_never_served_is_told_within_15_seconds(look: float, read: float) -> None:
    """A task comes to a queue that no worker ever polled: orphaned within 15 s."""
    model = Model(tasks=[(0.0, FOREVER)], look_at=look, read_at=read)
    assert within(model.first_time(QueueState.ORPHANED), 15.0)


@given(moments, moments, moments, st.booleans())
def test_a_worker_that_polls_and_takes_nothing_is_told_within_75_seconds(
    beat: float, look: float, read: float, free_slots: bool
) -> None:
    """Tasks wait although a worker lives: stalled within 75 s, and not before the threshold."""
    worker = Worker(LONG_AGO + beat, free_slots=free_slots)
    model = Model([worker], tasks=[(0.0, FOREVER)], look_at=look, read_at=read)
    at = model.first_time(QueueState.STALLED)
    assert within(at, 75.0)
    assert not within(at, THRESHOLDS.stalled_seconds)


@given(moments, moments, moments, st.sampled_from(["task", "nothing"]), st.floats(30, 600))
def test_a_worker_that_is_back_is_told_within_15_seconds(
    beat: float, look: float, read: float, waits: str, lasted: float
) -> None:
    """A worker polls again, and its first heartbeat may be lost: the queue is ok within 15 s."""
    tasks = [(-lasted, 0.1)] if waits == "task" else []
    workers = [Worker(end=-lasted, killed=True), Worker(0.0, first_beat_after=beat)]
    model = Model(workers, tasks, look, read)
    found = model.verdicts(40.0, start=-lasted - 60)
    assert next(at for at, verdict in found if at >= 0 and verdict.state is QueueState.OK) <= 15.0
    assert {verdict.state for at, verdict in found if at > 15.0} == {QueueState.OK}


@given(moments, moments, moments, st.floats(30, 600))
def test_an_orphan_that_is_taken_is_no_absence(beat: float, look: float, read: float, lasted: float) -> None:
    """A worker takes what waited before it is heard of: the queue goes from orphaned to ok, without a word between."""
    workers = [Worker(end=-lasted, killed=True), Worker(0.0, first_beat_after=beat)]
    model = Model(workers, [(-lasted, 0.1)], look, read)
    states = [verdict.state for at, verdict in model.verdicts(40.0, start=-lasted - 60) if at >= 0]
    assert set(states) <= {QueueState.ORPHANED, QueueState.OK}


@given(moments, moments, moments, st.floats(0, 7), moments)
def test_a_restart_is_no_alarm(beat: float, look: float, read: float, gap: float, again: float) -> None:
    """The only worker is stopped and started within seconds, while tasks come: the queue stays ok."""
    workers = [Worker(LONG_AGO + beat, end=0.0), Worker(gap, first_beat_after=again)]
    model = Model(workers, [(0.0, gap), (gap / 2, gap)], look, read)
    assert set(model.states(-30.0, 60.0)) == {QueueState.OK}


@given(moments, moments, moments)
def test_a_rolling_restart_is_no_alarm(beat: float, look: float, read: float) -> None:
    """Two workers are replaced one after the other: the queue stays ok throughout."""
    workers = [Worker(LONG_AGO + beat, end=0.0), Worker(end=10.0), Worker(4.0), Worker(14.0)]
    assert set(Model(workers, look_at=look, read_at=read).states(-30.0, 60.0)) == {QueueState.OK}


@given(moments, moments, st.floats(0, 25), st.booleans())
def test_a_start_is_no_alarm(look: float, read: float, takes: float, waits: bool) -> None:
    """The monitor starts before the workers do, with orders from before waiting: unknown, then ok."""
    model = Model([Worker(takes)], [(LONG_AGO, takes)] if waits else [], look, read)
    found = [verdict.state for _, verdict in model.verdicts(90.0, start=0.0)]
    assert set(found) <= {QueueState.UNKNOWN, QueueState.OK}
    assert found[-1] is QueueState.OK


@given(moments, moments, moments, st.lists(st.floats(1, 50), min_size=1, max_size=20))
def test_a_busy_worker_is_no_alarm(beat: float, look: float, read: float, waits: list[float]) -> None:
    """All slots are taken by long activities, so that tasks wait for up to 50 s: the queue stays ok."""
    begins = range(0, 10 * len(waits), 10)
    tasks = [(float(begun), begun + waited) for begun, waited in zip(begins, waits, strict=True)]
    model = Model([Worker(LONG_AGO + beat, free_slots=False)], tasks, look, read)
    assert set(model.states(-30.0, 260.0)) == {QueueState.OK}


@given(moments, moments)
def test_an_idle_queue_is_no_alarm(beat: float, look: float) -> None:
    """Nothing comes for an hour: the queue stays ok."""
    assert set(Model([Worker(LONG_AGO + beat)], look_at=look).states(-30.0, 3_600.0)) == {QueueState.OK}


@given(moments, moments, moments)
def test_old_tasks_after_an_outage_are_no_second_alarm(beat: float, look: float, read: float) -> None:
    """A worker comes back to tasks that are an hour old and works through them: ok, not stalled."""
    workers = [Worker(end=-3_600.0, killed=True), Worker(0.0, first_beat_after=beat)]
    tasks = [(-3_600.0 + number, 0.5 * number) for number in range(100)]
    found = Model(workers, tasks, look, read).states(15.0, 120.0)
    assert set(found) == {QueueState.OK}


@given(st.lists(st.floats(31, 90), min_size=1, max_size=60))
def test_a_queue_at_the_border_does_not_flap(ages: list[float]) -> None:
    """The oldest task's age goes up and down around the threshold: at most one change, to stalled."""
    verdict = Verdict(QueueState.OK, 0.0, answered_seconds=998.0, served_since_seconds=0.0, was_served=True)
    states = [QueueState.OK]
    for number, age in enumerate(ages):
        verdict = judge(verdict, Observation(3, age, (1.0,)), 1_000.0 + 2 * number, THRESHOLDS)
        states.append(verdict.state)
    assert changes(states) <= 1


@given(moments, moments, moments, st.floats(0, 7))
def test_a_short_silence_of_the_server_changes_nothing_else(
    beat: float, look: float, read: float, lasted: float
) -> None:
    """The server does not answer for some seconds: unknown meanwhile, then what it was; an orphan stays one."""
    model = Model([Worker(LONG_AGO + beat)], look_at=look, read_at=read, silent=[(0.0, lasted)])
    assert set(model.states(-30.0, 60.0)) <= {QueueState.OK, QueueState.UNKNOWN}
    assert model.states(lasted + 5, 60.0)[0] is QueueState.OK
    orphan = Model([], [(-50.0, FOREVER)], look, read, [(0.0, lasted)])
    assert orphan.states(lasted + 5, 60.0)[0] is QueueState.ORPHANED


looks = st.sampled_from(
    [
        Observation(0, 0.0, (1.0,)),
        Observation(30, 20.0, (1.0,)),
        Observation(0, 0.0, (40.0,)),
        Observation(0, 0.0),
        Observation(3, 4.0),
        Observation(3, 61.0, (1.0,)),
        None,
    ]
)


def judged(seen: Iterable[Observation | None]) -> list[Verdict]:
    verdict = first(0.0)
    found = []
    for number, look in enumerate(seen):
        verdict = judge(verdict, look, number * LOOK_EVERY, THRESHOLDS)
        found.append(verdict)
    return found


@given(st.lists(looks, max_size=60))
def test_no_answer_is_never_taken_for_ok(seen: list[Observation | None]) -> None:
    """Whatever was before: while the server gives no answer, the state is unknown."""
    for look, verdict in zip(seen, judged(seen), strict=True):
        assert look is not None or verdict.state is QueueState.UNKNOWN


@given(st.lists(looks, min_size=1, max_size=60))
def test_one_odd_look_changes_nothing(seen: list[Observation | None]) -> None:
    """No state but unknown is entered unless two looks in a row spoke against the one before."""
    found = [first(0.0), *judged(seen)]
    for before, after in pairwise(found):
        entered = after.state is not before.state and after.state is not QueueState.UNKNOWN
        assert not entered or before.candidate is after.state


@given(st.lists(looks, min_size=1, max_size=60))
def test_a_state_begins_no_later_than_it_is_told(seen: list[Observation | None]) -> None:
    """The time since when a queue is in its state never lies ahead, and stays while the state stays."""
    before = first(0.0)
    for number, verdict in enumerate(judged(seen)):
        assert verdict.since_seconds <= number * LOOK_EVERY
        assert verdict.state is not before.state or verdict.since_seconds == before.since_seconds
        before = verdict


def changes(states: Sequence[QueueState]) -> int:
    return sum(before is not after for before, after in pairwise(states))
