"""Workers of an empty activity, one a queue, in one process: `python -m benchmarks.queue_worker ADDRESS QUEUE…`.

Says on stdout when they have begun to poll, by the system's monotonic clock in seconds. Stops by SIGTERM. The SDK is
set as in the platform's workers.
"""

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from datetime import timedelta

from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

from benchmarks.bare_worker import do_nothing
from service.endpoint import told_to_stop
from service.settings import WorkerSettings, load
from service.temporal import HEARTBEAT_SECONDS


async def main(address: str, *queues: str) -> None:
    stop = told_to_stop()
    runtime = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=HEARTBEAT_SECONDS))
    client = await Client.connect(address, identity=f"worker:{os.getpid()}", runtime=runtime)
    settings = load(WorkerSettings)
    async with AsyncExitStack() as running:
        for queue in queues:
            worker = Worker(
                client,
                task_queue=queue,
                activities=[do_nothing],
                max_concurrent_activities=settings.max_concurrent_activities,
                activity_task_poller_behavior=PollerBehaviorSimpleMaximum(settings.activity_pollers),
                graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_seconds),
            )
            await running.enter_async_context(worker)
        print(time.monotonic(), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    # Past the interpreter's own end, at which the SDK's threads, still beating, would abort the process with a trace.
    os._exit(0)
