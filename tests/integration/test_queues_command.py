"""`orderflow queues` as a process, against the real API."""

import asyncio
import json
import os
import pty
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.queues import QueueState
from contracts.registry import WORKERS
from tests.support.eventually import eventually_async
from tests.support.http_api import served
from tests.support.monitor_http import answering, queues
from tests.support.platform import ORDERFLOW


def ok() -> str:
    """All is well, as of now."""
    return queues().model_dump_json()


def environment(api: httpx.AsyncClient) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERFLOW_", "TEMPORAL_"))}
    return others | {"ORDERFLOW_API_URL": str(api.base_url)}


@asynccontextmanager
async def api_with(
    temporal: WorkflowEnvironment, body: str | Callable[[], str] | None, status: str = "200 OK"
) -> AsyncIterator[httpx.AsyncClient]:
    async with answering(body, status) as monitor, served(temporal.client, monitor_url=monitor) as api:
        yield api


async def run(api: httpx.AsyncClient, *arguments: str) -> tuple[int | None, str, str]:
    """Exit status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        ORDERFLOW, "queues", *arguments, stdout=-1, stderr=-1, env=environment(api)
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_all_ok(temporal: WorkflowEnvironment) -> None:
    """With every queue ok the table names each, and the exit status is 0."""
    async with api_with(temporal, ok) as api:
        status, out, err = await run(api)
    assert (status, err) == (0, "")
    assert all(service.name in out for service in WORKERS)


@pytest.mark.parametrize("state", [state for state in QueueState if state is not QueueState.OK])
async def test_one_unwell(temporal: WorkflowEnvironment, state: QueueState) -> None:
    """With one queue in any other state the exit status is 1, and it is told what to run."""
    async with api_with(temporal, lambda: queues(shipping=state).model_dump_json()) as api:
        status, out, _ = await run(api)
    assert status == 1
    assert state in out
    assert "shipping: " in out


async def test_an_old_answer_fails(temporal: WorkflowEnvironment) -> None:
    """An old ok is shown as what was, and is a failure for scripts."""
    async with api_with(temporal, queues(60).model_dump_json()) as api:
        status, out, _ = await run(api)
        scripted, _, _ = await run(api, "--json")
    assert (status, scripted) == (1, 1)
    assert "was ok" in out
    assert "Not as of now" in out


async def test_json(temporal: WorkflowEnvironment) -> None:
    """--json prints the API's answer and nothing else."""
    async with api_with(temporal, cache(ok)) as api:
        status, out, _ = await run(api, "--json")
        answer = (await api.get("/queues")).json()
    assert status == 0
    assert json.loads(out) == answer


async def test_no_monitor(temporal: WorkflowEnvironment) -> None:
    """Without the monitor one line on stderr says what to do, and nothing is printed of any queue."""
    async with served(temporal.client) as api:
        status, out, err = await run(api)
    assert (status, out) == (1, "")
    [line] = err.splitlines()
    assert "orderflow start monitor" in line


async def test_watch_and_json_don_t_go_together(temporal: WorkflowEnvironment) -> None:
    """What --watch with --json should be is not guessed."""
    async with served(temporal.client) as api:
        status, _, err = await run(api, "--watch", "--json")
    assert status == 2
    assert "--watch and --json" in err


async def test_watch_without_a_terminal_tells_each_change(temporal: WorkflowEnvironment) -> None:
    """In a pipe the table comes again when something changed, and not before; no answer is a change as well."""
    async with answering(ok) as monitor, served(temporal.client, monitor_url=monitor) as api:
        process = await asyncio.create_subprocess_exec(
            ORDERFLOW, "queues", "--watch", stdout=-1, stderr=-1, env=environment(api)
        )
        assert process.stdout is not None
        out = process.stdout
        told = await asyncio.wait_for(_until(out, "notification"), 20)
        assert "No answer" not in told
    # The API has gone, with its monitor: from here on nobody answers.
    told = await asyncio.wait_for(_until(out, "No answer now"), 20)
    assert told.count("UTC") == 1
    process.send_signal(signal.SIGINT)
    rest, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"Traceback" not in rest


async def _until(out: asyncio.StreamReader, word: str) -> str:
    told = ""
    while word not in told:
        line = await out.readline()
        assert line, told
        told += line.decode()
    return told


async def test_watch_on_a_terminal_goes_on_through_errors(temporal: WorkflowEnvironment) -> None:
    """On a terminal the table stays in its place; without an answer it says so; Ctrl-C ends it cleanly."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    seen = b""

    async def read() -> bytes:
        nonlocal seen
        with suppress(BlockingIOError):
            seen += os.read(ours, 65_536)
        return seen

    async with api_with(temporal, ok) as api:
        process = await asyncio.create_subprocess_exec(
            *(ORDERFLOW, "queues", "--watch"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(api) | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        )
        await eventually_async(read, is_it=lambda text: text.count(b"notification") >= 2)
        assert b"No answer" not in seen
    await eventually_async(read, is_it=lambda text: b"No answer now" in text)
    assert b"notification" in seen[seen.index(b"No answer now") - 2_000 : seen.index(b"No answer now")]
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    await read()
    os.close(ours)
    os.close(theirs)
    assert b"Traceback" not in seen
    # The cursor, hidden while it refreshes, is shown again.
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
