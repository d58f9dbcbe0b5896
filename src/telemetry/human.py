"""A log line for people."""

import re
from collections.abc import Mapping
from typing import Any

from telemetry import names

_LEVELS = {"warning": "WARN", "critical": "FATAL"}
_COLORS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
_TOLD = {names.REASON: "reason", names.ERROR_TYPE: "error", names.ATTEMPT: "attempt", names.ORDER_ID: "order"}
"""What is worth a glance besides the message, and its short name; the longest comes last."""
# A text from elsewhere must not move the cursor, nor pass for a line of its own.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TRACE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def human(line: Mapping[str, Any], *, color: bool, order: bool = True) -> str:
    """`line` is an ECS object; fields that it lacks are left out. `order` tells whose line it is."""
    level = str(line.get("log.level", ""))
    # Of a fault that is tried again, the file has it.
    trace = str(line.get("error.stack_trace", "")) if level in ("error", "critical") else ""
    untold = {
        # The trace's last line has it, with its message.
        *([names.ERROR_TYPE] if trace else []),
        *([names.ATTEMPT] if line.get(names.ATTEMPT) == 1 else []),
        *([] if order else [names.ORDER_ID]),
    }
    time = str(line.get("@timestamp", ""))[11:23]
    head = f"{line.get('service.name', '')!s:<12} {_LEVELS.get(level, level.upper()):<5}"
    message = _CONTROL.sub(_escaped, " ".join(str(line.get("message", "")).splitlines()))
    told = " ".join(f"{short}={line[name]}" for name, short in _TOLD.items() if name in line and name not in untold)
    told = _CONTROL.sub(_escaped, told)
    if color:
        shade = _COLORS.get(level, "")
        time, told = _painted(time, "2"), _painted(told, "2")
        head, message = _painted(head, shade), _painted(message, shade)
    text = " ".join(part for part in (time, head, message, told) if part)
    if trace:
        text += "\n" + "\n".join(f"  {row}" for row in _CONTROL_IN_TRACE.sub(_escaped, trace).split("\n"))
    return text


def _painted(text: str, shade: str) -> str:
    return f"\x1b[{shade}m{text}\x1b[0m" if text and shade else text


def _escaped(sign: re.Match[str]) -> str:
    return ascii(sign.group())[1:-1]
