"""Telling a thing once, though it is done again."""

import logging

import pytest

from telemetry.logs import _OncePerRun
from telemetry.once import Once


def test_a_key_is_new_once() -> None:
    """Whatever was told is not told again, while it is remembered."""
    once = Once()
    assert [once.is_new(key) for key in ("a", "b", "a", "b", "c")] == [True, True, False, False, True]


def test_the_memory_is_bounded() -> None:
    """The oldest is forgotten, so that a worker that lives for months does not grow."""
    once = Once()
    assert once.is_new("first")
    assert all(once.is_new(number) for number in range(10_000))
    assert once.is_new("first")


@pytest.mark.parametrize(("run", "told"), [("r-1", False), ("r-2", True)])
def test_a_workflow_s_event_is_one_line_a_run(run: str, told: bool) -> None:
    """A workflow task that is done again without being a replay says nothing twice; another run says its own."""

    def record(of: str) -> logging.LogRecord:
        made = logging.LogRecord("temporalio.workflow", logging.INFO, __file__, 1, "order %s", ("completed",), None)
        made.temporal_workflow = {"run_id": of}
        return made

    once = _OncePerRun()
    assert once.filter(record("r-1"))
    assert once.filter(record(run)) is told
