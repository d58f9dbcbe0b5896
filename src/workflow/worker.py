"""The order worker's composition root."""

from contracts.registry import service
from service.settings import WorkerSettings, load
from service.worker import Duties, run_worker
from telemetry import logs
from workflow.hold import hold_step
from workflow.order import OrderWorkflow

NAME = "order"


async def main() -> None:
    """Run the order worker until it is told to stop. Raises SettingError."""
    logs.configure(NAME)
    duties = Duties(workflows=[OrderWorkflow], activities=[hold_step])
    await run_worker(service(NAME), duties, load(WorkerSettings))
