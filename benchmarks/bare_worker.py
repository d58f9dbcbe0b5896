"""One bare worker process: `python -m benchmarks.bare_worker ADDRESS NAME`, until SIGTERM.

The least that an order can cost on Temporal with this SDK: a workflow of as many steps as an order has, each an
empty activity on a queue and in a process of its own. The SDK is set as in the platform's workers.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker

from contracts.registry import STEPS
from service.settings import WorkerSettings, load
from service.temporal import HEARTBEAT_SECONDS

WORKFLOW = "order"
NAMES = (WORKFLOW, *STEPS)


def queue(name: str) -> str:
    return f"bare-{name}"


@activity.defn
async def do_nothing() -> None:
    """An empty step."""


@workflow.defn
class BareOrder:
    @workflow.run
    async def run(self) -> int:
        """The number of steps done."""
        for step in STEPS:
            await workflow.execute_activity(
                do_nothing, task_queue=queue(step), start_to_close_timeout=timedelta(seconds=30)
            )
        return len(STEPS)


async def main(address: str, name: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runtime = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=HEARTBEAT_SECONDS))
    client = await Client.connect(address, identity=f"bare-{name}:{os.getpid()}", runtime=runtime)
    settings = load(WorkerSettings)
    decides = name == WORKFLOW
    async with Worker(
        client,
        task_queue=queue(name),
        workflows=[BareOrder] if decides else [],
        activities=[] if decides else [do_nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=settings.max_concurrent_activities,
        max_concurrent_workflow_tasks=settings.max_concurrent_workflow_tasks if decides else None,
        max_cached_workflows=settings.max_cached_workflows,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(settings.activity_pollers),
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(settings.workflow_pollers),
    ):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    # Past the interpreter's own end, at which the SDK's threads, still beating, would abort the process with a trace.
    os._exit(0)
