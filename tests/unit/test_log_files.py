"""Reading the log files of a data folder as one."""

import json
import random
import threading
from collections.abc import Iterator
from logging import LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest

from cli.log_lines import LogFile, LogLine, Logs, in_order, parse

SERVICES = ("api", "order", "payment")


def written(time: int, order: str = "1", **fields: object) -> str:
    """A line of second `time`, as a service writes it."""
    line = {"@timestamp": f"2026-11-23T20:00:{time:02}.000Z", "event.id": f"{time:03}", "order.id": order, **fields}
    return json.dumps(line) + "\n"


def append(file: Path, *lines: str) -> None:
    with file.open("a") as out:
        out.writelines(lines)


def ids(lines: Iterator[LogLine] | list[LogLine]) -> list[int]:
    return [int(line.id) for line in lines]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    found = Logs(tmp_path, SERVICES)
    yield found
    found.close()


def test_lines_are_merged_by_time(tmp_path: Path, logs: Logs) -> None:
    """Lines of all services come in the order of their times, those of one moment by their ids."""
    append(tmp_path / "api.jsonl", written(1), written(5))
    append(tmp_path / "order.jsonl", written(2), written(6, **{"event.id": "8"}))
    append(tmp_path / "payment.jsonl", written(3), written(6, **{"event.id": "7"}), written(9))
    assert ids(logs.so_far()) == [1, 2, 3, 5, 7, 8, 9]


def test_slight_disorder_is_put_right() -> None:
    """Lines of a file whose threads overtook each other come in the order of their times."""
    numbers = list(range(1000))
    shaken = sorted(numbers, key=lambda number: number + random.uniform(0, 20))
    assert ids(in_order(LogLine(f"{number:04}", str(number), "", {}) for number in shaken)) == numbers


def test_rotated_files_come_first(tmp_path: Path, logs: Logs) -> None:
    """What was rotated away is read too, oldest first."""
    for number, name in enumerate(("api.jsonl.3", "api.jsonl.2", "api.jsonl.1", "api.jsonl")):
        append(tmp_path / name, written(number))
    assert ids(logs.so_far()) == [0, 1, 2, 3]


def test_files_that_are_not_ours(tmp_path: Path, logs: Logs) -> None:
    """Temporal's output and what is on stderr are left out, and a service that was not asked for."""
    append(tmp_path / "api.jsonl", written(1))
    for name in ("temporal.jsonl", "api.stderr.log", "shipping.jsonl", "api.jsonl.old"):
        append(tmp_path / name, written(2))
    assert ids(logs.so_far()) == [1]


@pytest.mark.parametrize("broken", [b'{"@timestamp": "20\n', b"\xff\xfe\n", b"[1]\n", b"7\n", b"{}\n", b"\n"])
def test_a_broken_line_is_skipped(broken: bytes) -> None:
    """What is no line of ours is passed over."""
    assert parse(broken) is None


def test_only_one_order_s_lines() -> None:
    """With an order's id there are only its lines, and none that only mentions it."""
    assert parse(written(1, "o-1").encode(), "o-1") is not None
    assert parse(written(1, "o-12").encode(), "o-1") is None
    assert parse(written(1, "o-2", message="not o-1").encode(), "o-1") is None


def test_a_line_is_kept_as_it_was_written() -> None:
    """A line's text is what the service wrote, to the letter."""
    text = '{"@timestamp":  "2026-11-23T20:00:00.000Z", "message": "caf\\u00e9 \u2615"}'
    line = parse(f"{text}\n".encode())
    assert line is not None
    assert line.text == text


def test_a_half_written_line_comes_when_it_is_whole(tmp_path: Path, logs: Logs) -> None:
    """The last line of a file is told once it is complete, and then once."""
    file = tmp_path / "api.jsonl"
    whole = written(2)
    append(file, written(1), whole[:20])
    assert ids(logs.so_far()) == [1]
    assert logs.new() == []
    append(file, whole[20:])
    assert ids(logs.new()) == [2]
    assert logs.new() == []


def test_a_file_that_appears_later(tmp_path: Path, logs: Logs) -> None:
    """The lines of a service that starts while one looks are told."""
    assert ids(logs.so_far()) == []
    append(tmp_path / "payment.jsonl", written(1))
    assert ids(logs.new()) == [1]


def test_an_emptied_file(tmp_path: Path, logs: Logs) -> None:
    """A file that is emptied in place is read from its beginning again."""
    file = tmp_path / "api.jsonl"
    append(file, written(1), written(2))
    assert ids(logs.so_far()) == [1, 2]
    file.write_text(written(3))
    assert ids(logs.new()) == [3]


def test_a_file_that_is_away_for_a_moment(tmp_path: Path, logs: Logs) -> None:
    """Between a rotation and the next line there is no file; nothing is lost by it."""
    file = tmp_path / "api.jsonl"
    append(file, written(1))
    assert ids(logs.so_far()) == [1]
    append(file, written(2))
    file.rename(tmp_path / "api.jsonl.1")
    assert ids(logs.new()) == [2]
    append(file, written(3))
    assert ids(logs.new()) == [3]


def test_a_file_that_rotates_all_the_time(tmp_path: Path) -> None:
    """While the real handler writes and rotates, every line is told once and in order."""
    handler = RotatingFileHandler(tmp_path / "api.jsonl", maxBytes=40_000, backupCount=3)
    file = LogFile(tmp_path / "api.jsonl")
    turn = threading.Barrier(2)

    def write() -> None:
        for number in range(2000):
            handler.emit(LogRecord("", 20, "", 1, f'{{"number": {number}}}', None, None))
            if number % 100 == 99:
                turn.wait()

    writer = threading.Thread(target=write)
    writer.start()
    found: list[bytes] = []
    for _ in range(20):
        found += file.read()
        turn.wait()
        found += file.read()
    writer.join()
    handler.close()
    file.close()
    assert [json.loads(line)["number"] for line in found] == list(range(2000))


def test_a_rotation_while_old_files_are_read(tmp_path: Path, logs: Logs) -> None:
    """A rotation after the first line was asked for changes nothing: each line comes once."""
    append(tmp_path / "api.jsonl.1", written(1))
    append(tmp_path / "api.jsonl", written(2))
    lines = logs.so_far()
    first = next(lines)
    (tmp_path / "api.jsonl.1").rename(tmp_path / "api.jsonl.2")
    (tmp_path / "api.jsonl").rename(tmp_path / "api.jsonl.1")
    append(tmp_path / "api.jsonl", written(3))
    assert ids([first, *lines, *logs.new()]) == [1, 2, 3]
