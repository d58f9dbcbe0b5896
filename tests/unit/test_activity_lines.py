"""What an attempt's last line tells of it, whichever way it ended."""

import asyncio
import logging
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from contracts.errors import Refusal
from telemetry.activities import ActivityTracing


class _Activity(ActivityInboundInterceptor):
    """Takes its time, and ends as it is told."""

    def __init__(self, seconds: float, error: BaseException | None) -> None:
        self._seconds = seconds
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        await asyncio.sleep(self._seconds)
        if self._error:
            raise self._error


async def last_line(caplog: pytest.LogCaptureFixture, activity_type: str, error: BaseException | None) -> Any:
    """The record of the end of an attempt that took 20 ms."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, activity_type=activity_type)
    tracing = ActivityTracing(_Activity(0.02, error))
    call = ExecuteActivityInput(fn=lambda: None, args=(), executor=None, headers={})

    async def attempt() -> None:
        await tracing.execute_activity(call)

    ends = pytest.raises(type(error)) if error else nullcontext()
    with caplog.at_level(logging.INFO, "telemetry.activities"), ends:
        await environment.run(attempt)
    return vars(caplog.records[-1])


@pytest.mark.parametrize(
    ("activity_type", "error", "action"),
    [
        ("take_payment", None, "step-done"),
        ("take_payment", Refusal("card_declined", "declined"), "step-refused"),
        ("take_payment", asyncio.CancelledError(), "step-cancelled"),
        ("take_payment", OSError("no answer"), "step-failed"),
        ("refund_payment", None, "undo-done"),
        ("refund_payment", Refusal("refund_failed", "no"), "undo-refused"),
        ("tell_customer", None, "notice-done"),
    ],
)
async def test_an_attempt_s_end_has_its_duration(
    caplog: pytest.LogCaptureFixture, activity_type: str, error: BaseException | None, action: str
) -> None:
    """However an attempt of a step, an undo or a notice ends, its line tells how long it took, in nanoseconds."""
    line = await last_line(caplog, activity_type, error)
    assert line["event.action"] == action
    assert isinstance(line["event.duration"], int)
    assert 20e6 <= line["event.duration"] < 5e9


async def test_only_the_end_has_a_duration(caplog: pytest.LogCaptureFixture) -> None:
    """The line of an attempt's beginning has no duration, so that each attempt counts once."""
    await last_line(caplog, "take_payment", None)
    told = [(vars(record)["event.action"], "event.duration" in vars(record)) for record in caplog.records]
    assert told == [("step-started", False), ("step-done", True)]
