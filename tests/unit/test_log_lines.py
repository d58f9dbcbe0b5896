"""Log lines of whole processes: who says what, and that saying it never holds anything up."""

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

_HEAD = """
import asyncio, contextvars, logging, sys, threading, warnings
from pathlib import Path
from opentelemetry import trace
from telemetry import context, logs, metrics
log = logging.getLogger("library")
"""


def run(program: str, folder: Path, *, configure: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `program` in a process of its own that logs to `folder`, until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", f"{_HEAD}{configure or _configure(folder)}\n{program}"],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _configure(folder: Path, more: str = "") -> str:
    return f"logs.configure('test', Path({str(folder)!r}){more})"


def lines_of(program: str, folder: Path) -> list[dict[str, Any]]:
    """What `program` said, on stdout and in its file alike; it must end well and print nothing else."""
    ended = run(program, folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (folder / "test.jsonl").read_text()
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_line_has_an_id_of_its_own(tmp_path: Path) -> None:
    """Each line has an id that no other has, the same on stdout and in the file, in the order of their times."""
    found = lines_of("for n in range(500): log.info('line %d', n)", tmp_path)
    ids = [uuid.UUID(line["event.id"]) for line in found]
    assert len(ids) == 500
    assert len(set(ids)) == 500
    assert ids == sorted(ids)
    assert {one.version for one in ids} == {7}


def test_what_is_bound_is_on_every_line(tmp_path: Path) -> None:
    """A library's line bears the order at hand and the current span, also from a thread with that context."""
    found = lines_of(
        """
span = trace.NonRecordingSpan(trace.SpanContext(0xabc, 0xdef, is_remote=True, trace_flags=trace.TraceFlags(1)))
async def about(order):
    context.bind({"order.id": order})
    with trace.use_span(span):
        log.info("here")
        await asyncio.to_thread(log.info, "in a thread")
        copied = threading.Thread(target=contextvars.copy_context().run, args=(log.info, "in a copy"))
        copied.start(); copied.join()
        bare = threading.Thread(target=log.info, args=("nobody's",))
        bare.start(); bare.join()
async def both():
    await asyncio.gather(about("one"), about("two"))
asyncio.run(both())
log.info("nobody's")
""",
        tmp_path,
    )
    seen = [(line["message"], line.get("order.id"), line.get("trace.id"), line.get("span.id")) for line in found]
    trace_id, span_id = f"{0xABC:032x}", f"{0xDEF:016x}"
    expected = [
        (told, order, trace_id, span_id) for order in ("one", "two") for told in ("here", "in a thread", "in a copy")
    ]
    assert sorted(line for line in seen if line[1]) == sorted(expected)
    assert [line for line in seen if not line[1]] == [("nobody's", None, None, None)] * 3


def test_the_sdk_s_line_on_a_failed_activity_is_left_out(tmp_path: Path) -> None:
    """What the SDK says of a failed activity is not told a second time; its other lines are."""
    found = lines_of(
        """
from temporalio import activity
sdk = activity.logger.base_logger
sdk.warning("Completing activity as failed", extra={"__temporal_error_identifier": "ActivityFailure"})
sdk.warning("something else")
""",
        tmp_path,
    )
    assert [line["message"] for line in found] == ["something else"]


def test_warnings_and_uncaught_exceptions_are_lines(tmp_path: Path) -> None:
    """A warning, and an exception that nobody caught in a thread, in a finalizer or in the program, is a line."""
    ended = run(
        """
warnings.warn("old ways")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start(); thread.join()
class Finalized:
    def __del__(self): raise OSError("in a finalizer")
Finalized()
raise RuntimeError("defect")
""",
        tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    warning, in_thread, finalizer, uncaught = [json.loads(line) for line in ended.stdout.splitlines()]
    assert warning["log.level"] == "warning"
    assert warning["message"].startswith("UserWarning: old ways")
    assert (in_thread["log.level"], in_thread["error.type"]) == ("critical", "ZeroDivisionError")
    assert (finalizer["log.level"], finalizer["error.message"]) == ("error", "in a finalizer")
    assert (uncaught["log.level"], uncaught["error.message"]) == ("critical", "defect")
    assert "in <module>" in uncaught["error.stack_trace"]


def test_a_line_with_wrong_arguments_is_told_without_them(tmp_path: Path) -> None:
    """A call with arguments that do not fit its text is a line all the same, and prints them nowhere."""
    (found,) = lines_of("log.info('%d pieces for %s', 'ada@example.com')", tmp_path)
    assert found["message"].startswith("%d pieces for %s")


def test_an_object_in_a_field_is_text(tmp_path: Path) -> None:
    """A field is a number or a text: an object that someone puts there is told as one, redacted."""
    (found,) = lines_of(
        """
log.info("sent", extra={
    "http.request": {"to": "ada@example.com", "n": [1]}, "http.port": 25, "http.card": 4242424242424242})
""",
        tmp_path,
    )
    assert found["http.port"] == 25
    assert found["http.card"] == "[redacted]"
    assert found["http.request"] == "{'to': '[redacted]', 'n': [1]}"


def test_an_order_s_values_are_in_nobody_s_line(tmp_path: Path) -> None:
    """Whatever a library says while an order is at hand, in whatever shape, has none of the order's own values."""
    program = """
from tests.support.orders import a_contract_order
order = a_contract_order(email="jörg.marker@exämple.com", payment_method="tok_marker", shipping_address={
    "name": 'Jürgen "Jotzwei" Marker', "street": "O'Marker St 12", "city": "Markerstadt", "state": "Markerland",
    "postal_code": "MRK 4711", "country": "DE"})
context.keep_order_secret(order)
log.info("sent %s to %r", {"order": [order.model_dump()]}, order)
log.info("with %(name)s", {"name": order.shipping_address.name})
log.info(order.model_dump_json())
log.info("in a field", extra={"http.body": order.model_dump(), "http.text": order.shipping_address.street})
log.info("as bytes %s", order.model_dump_json().encode())
class Failed(Exception): pass
try:
    try:
        raise KeyError(order.shipping_address.city)
    except KeyError as error:
        raise Failed(f"550 <{order.email}>: {order.shipping_address!r}", {"of": order.payment_method}) from error
except Failed:
    log.exception("for %s", order.email)
warnings.warn(f"{order.shipping_address.postal_code} is odd")
thread = threading.Thread(target=contextvars.copy_context().run, args=(log.info, order.shipping_address.state))
thread.start(); thread.join()
log.info("%d", order.email)
raise Failed(repr(order))
"""
    ended = run(program, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == ""
    said = ended.stdout + (tmp_path / "test.jsonl").read_text()
    assert len(said.splitlines()) == 2 * 10
    assert "01936f5e-7c1a-7d3e-9b52-3f8a6c1d2e4f" in said
    for line in said.splitlines():
        for part in ("marker", "jotzwei", "jörg", "jürgen", "4711", r"\u00f6rg", r"\u00fcrgen"):
            assert part not in line.lower()
            assert part not in str(json.loads(line)).lower()


def test_a_reader_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    """With a stdout that nobody reads the program runs on, lines are dropped and counted, and it ends by itself."""
    program = """
dropped = []
metrics.LOG_LINES_DROPPED = type("Counter", (), {"add": staticmethod(dropped.append)})
for n in range(25_000):
    log.info("line %d %s", n, "x" * 100)
print(sum(dropped), file=sys.stderr, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{_HEAD}{_configure(tmp_path)}\n{program}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.wait(30) == 0  # Nothing has been read.
        _, told = process.communicate()
    finally:
        process.kill()
    # The queue's length, what the pipe takes, and the line in the writer's hands.
    assert 3_000 < int(told) < 5_000


def test_a_full_disk_prints_no_line_elsewhere(tmp_path: Path) -> None:
    """With no room for the file the lines go to stdout, are counted as dropped from the file, and to nowhere else."""
    (tmp_path / "test.jsonl").symlink_to("/dev/full")
    program = """
dropped = []
metrics.LOG_LINES_DROPPED = type("Counter", (), {"add": staticmethod(dropped.append)})
import atexit
for n in range(10):
    log.info("line %d", n)
atexit.unregister(logging.shutdown)
atexit._run_exitfuncs()
print(sum(dropped), file=sys.stderr, flush=True)
"""
    ended = run(program, tmp_path)
    assert ended.returncode == 0
    assert [json.loads(line)["message"] for line in ended.stdout.splitlines()] == [f"line {n}" for n in range(10)]
    assert ended.stderr == "10\n"


def test_the_file_is_rotated(tmp_path: Path) -> None:
    """A file that has grown to its bound is put aside, a few are kept, and no line of those is lost or cut."""
    ended = run(
        "for n in range(400): log.info('line %d', n)",
        tmp_path,
        configure=f"logs._FILE_BYTES = 20_000\n{_configure(tmp_path)}",
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    files = sorted(tmp_path.iterdir(), key=lambda file: file.name, reverse=True)
    assert [file.name for file in files] == ["test.jsonl.3", "test.jsonl.2", "test.jsonl.1", "test.jsonl"]
    assert all(file.stat().st_size <= 20_000 for file in files)
    kept = [json.loads(line)["message"] for file in files for line in file.read_text().splitlines()]
    assert kept == [f"line {n}" for n in range(400)][-len(kept) :]
    assert len(kept) > 100


def test_lines_for_people(tmp_path: Path) -> None:
    """In the human format stdout has the time, the service, the level, the text and the order; the file stays JSON."""
    ended = run(
        """
context.bind({"order.id": "0193"})
log.warning("paid by ada@example.com", extra={"error.type": "Fault", "temporal.attempt": 3})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("defect")
""",
        tmp_path,
        configure=_configure(tmp_path, ", log_format='human'"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second, *trace = ended.stdout.splitlines()
    assert first[2] == first[5] == ":"
    assert first.split()[1:] == [
        *("test", "WARN", "paid", "by", "[redacted]", "error=Fault", "attempt=3", "order=0193"),
    ]
    assert second.split()[1:4] == ["test", "ERROR", "defect"]
    assert trace[0].strip() == "Traceback (most recent call last):"
    assert "\x1b" not in ended.stdout  # No terminal, no colour.
    assert all(json.loads(line)["order.id"] == "0193" for line in (tmp_path / "test.jsonl").read_text().splitlines())


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_levels(level: str, tmp_path: Path) -> None:
    """A line bears its level; what is below info is not told."""
    found = lines_of(f"log.{level}('said')", tmp_path)
    assert [line["log.level"] for line in found] == ([] if level == "debug" else [level])
