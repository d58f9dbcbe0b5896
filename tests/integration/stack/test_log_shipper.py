"""The way of the log lines into Elasticsearch: nothing is lost, nothing is there twice, and what is refused is kept."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.stack import LOGS, Stack

FILE = "a-test.jsonl"
WITH_BAD_ONES = "a-bad-test.jsonl"


def lines(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Lines as our services write them."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [
        {"@timestamp": now, "log.level": "info", "message": f"line {n}", "event.id": str(uuid.uuid4()), **fields}
        for n in range(count)
    ]


def in_logs(stack: Stack, script: str, text: str | None = None) -> None:
    """Run a shell script in the folder of the log files."""
    stack.execute("api", "sh", "-c", f"cd {stack.log_folder} && {script}", text=text)


def write(stack: Stack, made: list[dict[str, Any]], file: str = FILE) -> None:
    text = "".join(json.dumps(line) + "\n" for line in made)
    in_logs(stack, f"cat >> {file}", text)


def counted(stack: Stack, outcome: str) -> float:
    """How many lines the shipper says to have come out so, as Prometheus has it."""
    return stack.ask(f'orderflow_log_shipper_lines_total{{outcome="{outcome}"}}').get("log-shipper", 0)


@pytest.fixture(autouse=True)
def begin_whole(stack: Stack) -> None:
    stack.until_all_is_stored()


def test_both_are_killed_while_files_rotate(stack: Stack) -> None:
    """Elasticsearch killed, then the shipper, a file rotated before, between and after: once both are back, each line
    that was written is stored, once."""
    write(stack, lines(500))
    stack.kill("elasticsearch")
    write(stack, lines(1500))
    in_logs(stack, f"mv {FILE} {FILE}.1")
    write(stack, lines(1000))
    stack.kill("rsyslog")
    write(stack, lines(1000))
    in_logs(stack, f"mv {FILE}.1 {FILE}.2 && mv {FILE} {FILE}.1")
    write(stack, lines(500))
    stack.start("rsyslog")
    write(stack, lines(500))
    stack.kill("rsyslog")
    write(stack, lines(500))
    stack.start("elasticsearch")
    stack.start("rsyslog")
    stack.until_all_is_stored(180)


def test_all_is_read_again(stack: Stack) -> None:
    """The shipper forgets how far it has read: all lines are sent again, and none is stored twice."""
    write(stack, lines(300))
    before = len(stack.until_all_is_stored())
    there = len(stack.written())
    stack.stop("rsyslog")
    stack.forget_how_far_it_read()
    stack.start("rsyslog")
    eventually(lambda: counted(stack, "known"), 90, is_it=lambda known: known >= there)
    assert len(stack.until_all_is_stored()) >= before


def test_the_queue_is_full(stack: Stack) -> None:
    """With a queue for 300 lines and Elasticsearch away, the shipper reads no more than that, and waits, also over a
    kill and a stop; in the end it has delivered all."""
    with stack.shipper_with_queue_of(300):
        stack.kill("elasticsearch")
        write(stack, lines(3000))
        waiting = "orderflow_log_shipper_queue_lines"
        eventually(lambda: stack.ask(waiting)["log-shipper"], 90, is_it=lambda it: it >= 250)
        assert stack.ask(waiting)["log-shipper"] <= 300
        stack.kill("rsyslog")
        stack.start("rsyslog")
        stack.stop("rsyslog")
        stack.start("rsyslog")
        stack.start("elasticsearch")
        stack.until_all_is_stored(180)


def test_a_refused_line_is_kept_and_told(stack: Stack) -> None:
    """A line that Elasticsearch refuses is in the dead-letter file with the reason, is counted, and alerts; those that
    were sent with it are stored. What is no line of ours is kept as it was."""
    bad = lines(3, **{"temporal.attempt": "not a number"})
    good = lines(50)
    write(stack, [*good[:25], *bad, *good[25:]], WITH_BAD_ONES)
    in_logs(stack, f"echo half a li >> {WITH_BAD_ONES}")
    wanted = {line["event.id"] for line in good}
    try:
        eventually(lambda: {line["event.id"] for line in stack.stored()} & wanted, 60, is_it=lambda it: it == wanted)

        def letters() -> list[dict[str, Any]]:
            return [
                json.loads(it)
                for it in stack.execute("rsyslog", "cat", f"{stack.spool}/dead-letters.jsonl").splitlines()
            ]

        found = eventually(letters, 60, is_it=lambda it: len(it) >= 3)
        assert [letter["line"] for letter in found] == bad
        assert {letter["status"] for letter in found} == {400}
        assert all("temporal.attempt" in letter["error"]["reason"] for letter in found)
        assert stack.execute("rsyslog", "cat", f"{stack.spool}/unreadable.txt") == "half a li\n"
        eventually(lambda: (counted(stack, "refused"), counted(stack, "unreadable")), 60, is_it=lambda it: it == (3, 1))
        refused = stack.hook.alert("firing", "LogLinesRefused", 120, outcome="refused")
        assert refused["labels"]["severity"] == "warning"
    finally:
        in_logs(stack, f"rm {WITH_BAD_ONES}")
        write(stack, good)
        stack.execute("rsyslog", "sh", "-c", f"rm -f {stack.spool}/dead-letters.jsonl {stack.spool}/unreadable.txt")


def test_the_templates_hold(stack: Stack) -> None:
    """The lines are in a data stream, with our types; a line with a thousand fields of its own adds no more than the
    limit, and is stored."""
    mapping = stack.elasticsearch.get(f"/{LOGS}/_mapping").raise_for_status().json()
    assert all(index.startswith(f".ds-{LOGS}-") for index in mapping)
    for index in mapping.values():
        properties = index["mappings"]["properties"]
        assert properties["order"]["properties"]["id"]["type"] == "keyword"
        assert properties["trace"]["properties"]["id"]["type"] == "keyword"
        assert properties["@timestamp"]["type"] == "date"
    (huge,) = lines(1, **{f"labels.field_{n}": "x" for n in range(1000)})
    write(stack, [huge])
    eventually(lambda: stack.stored(f'event.id:"{huge["event.id"]}"'), 60)
    after = stack.elasticsearch.get(f"/{LOGS}/_mapping").json()
    assert (
        max(len(index["mappings"]["properties"].get("labels", {}).get("properties", {})) for index in after.values())
        < 300
    )
