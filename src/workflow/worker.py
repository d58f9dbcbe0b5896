"""The order worker's composition root."""

from contracts.registry import service
from service.settings import WorkerSettings, load
from service.worker import Duties, run_worker
from telemetry.process import Telemetry
from workflow.hold import hold_step
from workflow.order import OrderWorkflow

NAME = "order"


async def main() -> None:
    """Run the order worker until it is told to stop. Raises SettingError."""
    settings = load(WorkerSettings)
    duties = Duties(workflows=[OrderWorkflow], activities=[hold_step])
    async with Telemetry(NAME, settings.data_dir, settings.log_format) as telemetry:
        await run_worker(service(NAME), duties, settings, telemetry)
