"""Record the histories that the replay tests hold the workflow against: `python -m tests.workflow.record`.

Run it when the workflow is meant to change in a way that old orders need not survive; otherwise version the change.
Each history is one order's, by one script, from a real server.
"""

import asyncio
import tempfile
import uuid
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.orders import OrderInput, workflow_id
from contracts.registry import STEPS, task_queue
from tests.support.eventually import eventually_async
from tests.support.steps import Script, World, an_order, scripted_workers
from tests.support.temporal import temporal_server
from workflow.hold import hold_step
from workflow.order import OrderWorkflow

HISTORIES = Path(__file__).parent.parent / "histories"

SCRIPTS: dict[str, Script] = {
    "completed": Script(),
    "retried": Script(steps={"payment": "fails once", "shipping": "fails once"}),
    **{f"refused-{step}": Script(steps={step: "refuses"}) for step in STEPS},
    **{f"out-of-time-{step}": Script(steps={step: "fails always"}) for step in STEPS},
    "shipped-without-answer": Script(steps={"shipping": "does it but never answers"}),
    "undo-failed-payment": Script(steps={"inventory": "refuses"}, undos={"payment": "refuses"}),
    "undo-failed-inventory": Script(steps={"shipping": "refuses"}, undos={"inventory": "refuses"}),
    "undo-failed-shipping": Script(steps={"shipping": "fails always"}, undos={"shipping": "refuses"}),
    **{
        f"cancelled-{moment}-{step}": Script(cancel_in=(step, moment))
        for step in STEPS
        for moment in ("before", "during", "after")
    },
}


async def _record(client: Client, name: str, order_id: str, queue: str) -> None:
    handle = client.get_workflow_handle(workflow_id(order_id))
    await handle.result()
    history = await handle.fetch_history()
    (HISTORIES / f"{name}.json").write_text(history.to_json())
    print(f"{name}: {len(history.events)} events on {queue}")


async def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with temporal_server() as server:
        # An identity of its own: the default would put this machine's name into the repository.
        client = await Client.connect(
            server.service_client.config.target_host, identity="recorder", data_converter=pydantic_data_converter
        )
        world = World()
        with tempfile.TemporaryDirectory() as folder:
            async with scripted_workers(client, world, Path(folder)):
                for name, script in SCRIPTS.items():
                    order_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
                    world.scripts[order_id] = script
                    given = OrderInput(order=an_order(order_id), step_timeout_seconds=3 if "out" in name else 60)
                    queue = task_queue("order")
                    await client.start_workflow(OrderWorkflow.run, given, id=workflow_id(order_id), task_queue=queue)
                    await _record(client, name, order_id, queue)
        await _record_with_absent_payment_worker(client)


async def _record_with_absent_payment_worker(client: Client) -> None:
    """Cancelled while nobody serves the payment queue: the step is proved to have never begun."""
    name = "cancelled-never-begun"
    order_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    queue = task_queue("order")
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        client, task_queue=queue, workflows=[OrderWorkflow], activities=[hold_step], workflow_runner=runner
    ):
        given = OrderInput(order=an_order(order_id), step_timeout_seconds=4)
        handle = await client.start_workflow(OrderWorkflow.run, given, id=workflow_id(order_id), task_queue=queue)

        async def status() -> str:
            return str((await handle.query(OrderWorkflow.progress)).status)

        await eventually_async(status, is_it=lambda seen: seen == "paying")
        await handle.cancel()
        await _record(client, name, order_id, queue)


if __name__ == "__main__":
    asyncio.run(main())
