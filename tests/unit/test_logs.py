"""Log lines: JSON in Elastic Common Schema, and none of them lost."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from telemetry.logs import EcsFormatter


def line(level: int = logging.INFO, message: str = "paid", **more: Any) -> dict[str, Any]:
    """What the formatter makes of a record with these attributes, which must be one line of JSON."""
    exc_info = more.pop("exc_info", None)
    record = logging.LogRecord("workers.payment", level, __file__, 1, message, more.pop("args", ()), exc_info)
    record.created = 1_764_014_400.1239
    vars(record).update(more)
    written = EcsFormatter("payment").format(record)
    assert "\n" not in written
    found: dict[str, Any] = json.loads(written)
    return found


def test_a_line_has_the_common_fields() -> None:
    """Each line says when, how grave, what, who and where, by the names of the Elastic Common Schema."""
    found = line(logging.WARNING, "charged %s", args=("ch_1",))
    assert found["@timestamp"] == "2025-11-24T20:00:00.123Z"
    assert found["log.level"] == "warning"
    assert found["message"] == "charged ch_1"
    assert found["log.logger"] == "workers.payment"
    assert found["service.name"] == "payment"
    assert found["event.dataset"] == "orderflow.payment"
    assert found["ecs.version"]
    assert "service" not in found


@pytest.mark.parametrize("created", [0.0, 1_764_014_400.0, 1_764_014_400.9999])
def test_the_time_is_always_in_milliseconds_and_utc(created: float) -> None:
    """The timestamp always has three decimals and a Z, also on a whole second."""
    stamp = line(created=created)["@timestamp"]
    assert len(stamp) == len("2025-11-24T20:00:00.123Z")
    assert stamp.endswith("Z")
    assert abs(datetime.fromisoformat(stamp) - datetime.fromtimestamp(created, UTC)).total_seconds() < 0.001


@pytest.mark.parametrize(
    ("extra", "workflow_id"),
    [
        ({"temporal_workflow": {"workflow_id": "order-0193", "run_id": "r", "task_queue": "order"}}, "order-0193"),
        ({"temporal_activity": {"workflow_id": "order-0193", "workflow_run_id": "r", "attempt": 3}}, "order-0193"),
    ],
)
def test_the_sdk_s_fields_become_ours(extra: dict[str, Any], workflow_id: str) -> None:
    """A line of a workflow or an activity carries its order's id and its workflow's, flat, and no nested object."""
    found = line(**extra)
    assert found["order.id"] == "0193"
    assert found["temporal.workflow_id"] == workflow_id
    assert found["temporal.run_id"] == "r"
    assert found.get("temporal.attempt") == extra.get("temporal_activity", {}).get("attempt")
    assert not any(isinstance(value, dict) for value in found.values())


def test_a_workflow_that_is_no_order_has_no_order_id() -> None:
    """Only an order's workflow gives its line an order id."""
    assert "order.id" not in line(temporal_workflow={"workflow_id": "benchmark-1"})


def test_a_duration_is_never_taken_for_a_card_number() -> None:
    """A duration in nanoseconds that happens to look like a card number stays a number."""
    assert line(message="took 4222222222222")["message"] != "took 4222222222222"
    extra: dict[str, Any] = {"event.duration": 4_222_222_222_222}
    assert line(**extra)["event.duration"] == 4_222_222_222_222


def test_only_dotted_extras_get_in() -> None:
    """An object that someone attaches to a line stays out of it; a field of the schema gets in."""
    extra: dict[str, Any] = {"event.action": "order-received", "order.id": "0193"}
    found = line(order={"email": "ada@example.com"}, **extra)
    assert found["event.action"] == "order-received"
    assert found["order.id"] == "0193"
    assert "ada@example.com" not in json.dumps(found)


def test_an_exception_is_told_by_type_and_trace() -> None:
    """A line of an exception has its type and its stack trace, in one line of JSON."""
    try:
        raise ConnectionError("no answer\nfrom the network")
    except ConnectionError:
        found = line(logging.ERROR, "unhandled error", exc_info=sys.exc_info())
    assert found["error.type"] == "ConnectionError"
    assert "no answer\nfrom the network" in found["error.stack_trace"]
    assert found["message"] == "unhandled error"
    assert "error.type" not in line(logging.ERROR, exc_info=(None, None, None))


_ENDS = {
    "returns": "",
    "exits": "sys.exit(3)",
    "raises": "raise RuntimeError('defect')",
}


@pytest.mark.parametrize("end", _ENDS)
def test_no_line_is_lost_at_the_end(end: str, tmp_path: Path) -> None:
    """However a process ends by itself, all that it logged is written whole, to stdout and to its file alike."""
    program = (
        "import logging, sys\nfrom pathlib import Path\nfrom telemetry import logs\n"
        f"logs.configure('test', Path({str(tmp_path)!r}))\n"
        "for n in range(3000): logging.getLogger('x').info('line %d', n)\n"
        f"{_ENDS[end]}"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == {"returns": 0, "exits": 3, "raises": 1}[end]
    expected = [f"line {n}" for n in range(3000)] + (["uncaught exception"] if end == "raises" else [])
    for lines in (ended.stdout, (tmp_path / "test.jsonl").read_text()):
        assert [json.loads(one)["message"] for one in lines.splitlines()] == expected


def test_a_line_is_the_same_wherever_it_goes() -> None:
    """What stdout gets is what the file gets, to the id by which a line that is shipped twice is stored once."""
    record = logging.LogRecord("workers.payment", logging.INFO, __file__, 1, "paid", (), None)
    assert EcsFormatter("payment").format(record) == EcsFormatter("payment").format(record)
