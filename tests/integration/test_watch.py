"""What a look at a task queue sees, asked of a real Temporal server with a real worker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Worker

from contracts.registry import Service, Step
from monitor.judge import FRESH_SECONDS
from monitor.observation import Observation
from monitor.watch import Watch
from tests.support.eventually import eventually_async
from tests.support.temporal import temporal_server

QUEUE = Service("packing", 0, task_queue="packing", step=Step("packing", "packing", "pack", None))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Of a server of its own; its workers send heartbeats every second."""
    runtime = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=1))
    async with temporal_server() as other:
        yield await Client.connect(other.service_client.config.target_host, runtime=runtime)


async def seen(watch: Watch) -> Observation:
    found = (await watch.look([QUEUE]))[QUEUE.name]
    assert found is not None
    return found


async def place(client: Client, number: int) -> None:
    await client.start_activity(
        "pack", id=f"pack-{number}", task_queue="packing", start_to_close_timeout=timedelta(seconds=60)
    )


async def test_a_queue_from_its_first_task_to_a_full_worker(client: Client) -> None:
    """Nobody there and a task waits; a worker that could take more; the same worker full; and gone again."""
    watch, done = Watch(client), asyncio.Event()

    @activity.defn(name="pack")
    async def pack() -> None:
        await done.wait()

    await place(client, 1)
    waiting = await eventually_async(lambda: seen(watch), is_it=lambda found: found.oldest_seconds > 1)
    assert (waiting.backlog, waiting.live_workers(FRESH_SECONDS), waiting.silence_seconds) == (1, 0, None)

    async with Worker(client, task_queue="packing", activities=[pack], max_concurrent_activities=2):
        served = await eventually_async(
            lambda: seen(watch), is_it=lambda found: found.live_workers(FRESH_SECONDS) == 1 and found.backlog == 0
        )
        assert served.has_free_slots
        for number in (2, 3):
            await place(client, number)
        full = await eventually_async(lambda: seen(watch), is_it=lambda found: found.backlog == 1)
        full = await eventually_async(lambda: seen(watch), is_it=lambda found: not found.has_free_slots)
        assert full.live_workers(FRESH_SECONDS) == 1
        done.set()
        await eventually_async(lambda: seen(watch), is_it=lambda found: found.has_free_slots and found.backlog == 0)
    # It said that it was shutting down: it is no longer among those that serve the queue.
    await eventually_async(lambda: seen(watch), is_it=lambda found: found.silence_seconds is None)


async def test_a_new_worker_counts_from_its_first_poll(client: Client) -> None:
    """A worker that polls counts as live, also before its first heartbeat; one from before the first look does not."""
    rare = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=60))
    silent = await Client.connect(client.service_client.config.target_host, runtime=rare, identity="silent")

    @activity.defn(name="pack")
    async def pack() -> None: ...

    watch = Watch(client)
    assert (await seen(watch)).silence_seconds is None
    async with Worker(silent, task_queue="packing", activities=[pack]):
        await eventually_async(lambda: seen(watch), 5, is_it=lambda found: found.live_workers(FRESH_SECONDS) == 1)


async def test_a_server_that_does_not_answer() -> None:
    """Without an answer there is no observation, not an empty one."""
    nowhere = await Client.connect("127.0.0.1:1", lazy=True)
    assert await Watch(nowhere).look([QUEUE]) == {"packing": None}
