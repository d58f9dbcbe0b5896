"""A log line for people."""

from collections.abc import Mapping
from typing import Any

from telemetry import names

_COLORS = {"debug": "2", "info": "0", "warning": "33", "error": "31", "critical": "1;31"}
_TOLD = (names.REASON, names.ERROR_TYPE, names.ERROR_MESSAGE, names.NEXT_TRY_SECONDS, names.ATTEMPT)
"""What is worth a glance besides the message."""


def human(line: Mapping[str, Any], *, color: bool) -> str:
    """`line` is an ECS object; fields that it lacks are left out."""
    level = str(line.get("log.level", ""))
    text = " ".join(
        part
        for part in (
            str(line.get("@timestamp", ""))[11:23],
            f"{line.get('service.name', '')!s:<13}",
            f"{level.upper():<8}",
            str(line.get("message", "")),
            *(f"{name.rpartition('.')[2]}={line[name]}" for name in _TOLD if _is_worth_telling(name, line)),
            f"order={line[names.ORDER_ID]}" if names.ORDER_ID in line else "",
        )
        if part
    )
    if trace := line.get("error.stack_trace"):
        text += f"\n{trace}"
    return f"\x1b[{_COLORS.get(level, '0')}m{text}\x1b[0m" if color else text


def _is_worth_telling(name: str, line: Mapping[str, Any]) -> bool:
    return name in line and not (name == names.ATTEMPT and line[name] == 1)
