"""Log lines for people."""

from typing import Any

from telemetry.human import human

ORDER = "01a20aa8-430c-71a2-8fe0-c2798b312c8c"
LINE: dict[str, Any] = {
    "@timestamp": "2026-11-23T20:00:00.123Z",
    "log.level": "info",
    "message": "take_payment done",
    "service.name": "payment",
    "order.id": ORDER,
    "temporal.attempt": 1,
}


def test_a_common_line() -> None:
    """A line has its time, service, level, message and order, and fits into 100 columns."""
    told = human(LINE, color=False)
    assert told == f"20:00:00.123 payment      INFO  take_payment done order={ORDER}"
    assert len(human(LINE | {"service.name": "notification", "message": "confirm_order started"}, color=False)) <= 100


def test_an_order_that_is_known_is_not_repeated() -> None:
    """Where all lines are of one order they do not say so."""
    assert ORDER not in human(LINE, color=False, order=False)


def test_what_is_worth_a_glance() -> None:
    """A later attempt, the code of a refusal and the kind of an error stand behind the message."""
    told = human(LINE | {"temporal.attempt": 3, "error.type": "OutsideUnavailable"}, color=False, order=False)
    assert told.endswith("take_payment done error=OutsideUnavailable attempt=3")
    assert human(LINE | {"orderflow.reason": "card_declined"}, color=False, order=False).endswith(
        " reason=card_declined"
    )


def test_a_fault_that_is_tried_again_is_one_line() -> None:
    """Of a warning the stack trace stays in the file."""
    line = LINE | {"error.stack_trace": "Traceback …", "error.type": "OSError", "log.level": "warning"}
    assert "error=OSError" in human(line, color=False)
    assert "Traceback" not in human(line, color=False)


def test_a_stack_trace_is_indented_below_its_line() -> None:
    """A stack trace follows its line, set in, and what its last line says is not said twice."""
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1, in x\nKeyError: 7'
    line = LINE | {"error.stack_trace": trace, "error.type": "KeyError", "error.message": "7", "log.level": "error"}
    first, *rest = human(line, color=False).splitlines()
    assert "KeyError" not in first
    assert rest == [f"  {row}" for row in trace.splitlines()]


def test_a_text_can_not_pass_for_more_than_a_text() -> None:
    """Line breaks and control characters in a message make no second line, and do nothing to a terminal."""
    told = human(LINE | {"message": "one\n20:00:00.124 api ERROR two\x1b[2J\x9b"}, color=False, order=False)
    assert told.endswith("one 20:00:00.124 api ERROR two\\x1b[2J\\x9b")
    assert "\x1b" not in human(LINE | {"error.stack_trace": "a\n\x1b[2J"}, color=False)


def test_color() -> None:
    """On a terminal what is wrong stands out; the text is the same."""
    for level, shade in (("warning", "\x1b[33m"), ("error", "\x1b[31m")):
        line = LINE | {"log.level": level}
        told = human(line, color=True)
        assert shade in told
        plain = told.replace(shade, "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        assert plain == human(line, color=False)


def test_a_line_that_lacks_fields() -> None:
    """A line with few fields, or none, is still told."""
    assert "hello" in human({"message": "hello"}, color=False)
    assert isinstance(human({}, color=True), str)
