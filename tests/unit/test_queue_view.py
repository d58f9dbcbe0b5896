"""The table of the task queues: nothing unwell looks well, and each is told with what to run."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from cli.queue_view import STALE_SECONDS, advice, all_ok, view
from contracts.queues import Queues, QueueState
from contracts.registry import WORKERS
from tests.support.monitor_http import queues

UNWELL = [state for state in QueueState if state is not QueueState.OK]


def now() -> datetime:
    return datetime.now(UTC)


def shown(found: Queues, width: int = 120) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(view(found, now(), width))
    return captured.get()


def test_all_well_is_told_without_a_word() -> None:
    """When every queue is ok, the table says so and no advice follows."""
    assert all_ok(queues(), now())
    assert advice(queues(), now()) == []
    assert shown(queues()).count(" ok ") == len(WORKERS)


@pytest.mark.parametrize("state", UNWELL)
def test_one_that_is_unwell_is_told(state: QueueState) -> None:
    """A queue in any other state makes the whole not ok, and has one line of advice that names its service."""
    found = queues(shipping=state)
    assert not all_ok(found, now())
    [line] = advice(found, now())
    assert line.startswith("shipping: ")
    assert "Run: orderflow " in line
    assert line in " ".join(shown(found).split())


@pytest.mark.parametrize("state", [QueueState.ABSENT, QueueState.ORPHANED])
def test_a_queue_without_worker_says_how_to_start_it(state: QueueState) -> None:
    """Where no worker lives, the line ends with the command that starts one."""
    [line] = advice(queues(shipping=state), now())
    assert line.endswith("Run: orderflow start shipping")
    assert ("4 orders wait" in line) == (state is QueueState.ORPHANED)


@pytest.mark.parametrize("age_seconds", [STALE_SECONDS + 1, 7200.0, -STALE_SECONDS - 1])
def test_an_old_ok_does_not_look_like_ok(age_seconds: float) -> None:
    """An answer that is not of now is not ok, and each of its states is shown as what was."""
    found = queues(age_seconds)
    assert not all_ok(found, now())
    text = shown(found)
    assert text.count("was ok") == len(WORKERS)
    assert "Not as of now" in text


def test_a_young_answer_is_of_now() -> None:
    """A monitor that missed a look or two is believed."""
    assert all_ok(queues(STALE_SECONDS - 2), now())


def test_never_an_answer_is_not_ok() -> None:
    """Before the monitor's first answer from Temporal, and where it tells of no queue, nothing counts as ok."""
    found = queues()
    found.looked_at = None
    assert not all_ok(found, now())
    assert "no answer" in shown(found)
    assert not all_ok(Queues(looked_at=now(), queues=[]), now())


@pytest.mark.parametrize("width", [80, 96, 120, 240])
def test_a_row_fits_the_window(width: int) -> None:
    """On a terminal of 80 columns and more each queue is one line, whole."""
    lines = shown(queues(notification=QueueState.ORPHANED), width).splitlines()
    rows = [line for line in lines if "." in line and "Run:" not in line]
    assert len(rows) == len(WORKERS)
    assert all(len(line.rstrip()) <= width for line in lines)
    assert any("notification" in row and "orphaned" in row for row in rows)


def test_times_are_as_long_as_they_need() -> None:
    """A state that began days ago is shown with its day."""
    found = queues(shipping=QueueState.ABSENT)
    found.queues[-2].since = now() - timedelta(days=3)
    assert f"{found.queues[-2].since:%m-%d %H:%M}" in shown(found)
