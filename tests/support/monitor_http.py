"""What stands where the queue monitor should: an HTTP server that answers as a test wishes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from contracts.queues import Queues, QueueState, QueueStatus
from contracts.registry import WORKERS


@asynccontextmanager
async def answering(body: str | Callable[[], str] | None, status: str = "200 OK") -> AsyncIterator[str]:
    """The URL of a server that answers every request with `body`, or with what it makes then; with None it takes
    requests and never answers."""
    silent = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if body is None:
                await silent.wait()
            else:
                content = (body if isinstance(body, str) else body()).encode()
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n".encode())
                writer.write(b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + content)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        silent.set()
        server.close()
        await server.wait_closed()


def queues(age_seconds: float = 0.0, at: datetime | None = None, **states: QueueState) -> Queues:
    """Every registered queue, `age_seconds` before `at` (now): ok, unless `states` says otherwise by its service."""
    looked_at = (at or datetime.now(UTC)) - timedelta(seconds=age_seconds)
    return Queues(
        looked_at=looked_at,
        queues=[_status(service.name, states.get(service.name, QueueState.OK), looked_at) for service in WORKERS],
    )


def _status(service: str, state: QueueState, looked_at: datetime) -> QueueStatus:
    waits = state in (QueueState.ORPHANED, QueueState.STALLED)
    return QueueStatus(
        task_queue=service,
        service=service,
        state=state,
        since=looked_at - timedelta(minutes=3),
        live_workers=0 if state in (QueueState.ABSENT, QueueState.ORPHANED) else 1,
        backlog=4 if waits else 0,
        oldest_seconds=75.0 if waits else None,
        added_per_second=0.5,
        dispatched_per_second=0.0 if waits else 0.5,
        waiting_orders=4 if waits else None,
        oldest_order_ids=["01936f5e-7c1a-7d3e-9b52-3f8a6c1d2e4f"] if waits else [],
    )
