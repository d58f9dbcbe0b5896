"""What the services of a platform have logged."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from contracts.registry import SERVICES
from tests.support.eventually import eventually

COMPLETED = Counter(
    {
        "info order-received": 1,
        **{
            f"info step-{what} {activity}": 1
            for activity in ("take_payment", "reserve_items", "ship_order", "confirm_order")
            for what in ("started", "done")
        },
        "info order-ended": 1,
    }
)
"""The events of an order that met no trouble."""


def all_lines(data_dir: Path) -> list[dict[str, Any]]:
    """Every line of our services' files, oldest first."""
    files = [data_dir / "logs" / f"{service.name}.jsonl" for service in SERVICES]
    # A file's last line may be half written.
    texts = [
        text
        for file in files
        if file.is_file()
        for text in file.read_text().splitlines(keepends=True)
        if text.endswith("\n")
    ]
    return sorted(map(json.loads, texts), key=lambda line: str(line["event.id"]))


def lines_about(data_dir: Path, order_id: str) -> list[dict[str, Any]]:
    return [line for line in all_lines(data_dir) if line.get("order.id") == order_id]


def events(lines: list[dict[str, Any]]) -> Counter[str]:
    """Each event with its level and activity, and how often it was told."""
    return Counter(
        " ".join(
            part
            for part in (line["log.level"], line.get("event.action", "?"), line.get("temporal.activity_type", ""))
            if part
        )
        for line in lines
    )


def until_told(
    data_dir: Path, order_id: str, expected: Counter[str], within_seconds: float = 30
) -> list[dict[str, Any]]:
    """The order's lines once they are these events, each as often as it must be, and no others."""

    def look() -> Counter[str]:
        return events(lines_about(data_dir, order_id))

    eventually(look, within_seconds, is_it=lambda seen: seen == expected)
    return lines_about(data_dir, order_id)
