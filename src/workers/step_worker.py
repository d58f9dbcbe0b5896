"""A step worker's composition root, the same for every step."""

from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic_settings import SettingsConfigDict

from contracts.registry import service
from service.settings import Settings, WorkerSettings, load
from service.worker import Duties, run_worker
from telemetry.process import Telemetry
from workers.context import StepContext
from workers.database import Database, database_url, open_database
from workers.heartbeat import Heartbeats
from workers.migration import migrate

MakeActivities = Callable[[StepContext], Awaitable[Sequence[Callable[..., Any]]]]


class StepSettings(WorkerSettings):
    migrate: bool = True
    """Whether the worker brings its database up to date when it starts; off where a job does that."""


class DatabaseSettings(Settings):
    """Read under the step's own prefix: `ORDERFLOW_PAYMENT_DATABASE_URL`."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    database_url: str | None = None


async def main(step: str) -> None:
    """Run one step's worker until it is told to stop. Raises SettingError."""
    settings = load(StepSettings)
    database = _database(step, settings.data_dir)
    async with Telemetry(step, settings.data_dir, settings.log_format) as telemetry:
        try:
            if settings.migrate:
                await migrate(step, database)
            activities = await _activities(step)(StepContext(step, settings.data_dir, database))
            duties = Duties(activities=activities, interceptors=[Heartbeats()])
            await run_worker(service(step), duties, settings, telemetry)
        finally:
            await database.close()


async def migrate_steps(steps: Sequence[str]) -> None:
    """Bring the steps' databases up to date, one after the other, and end. Raises SettingError."""
    settings = load(Settings)
    for step in steps:
        database = _database(step, settings.data_dir)
        try:
            await migrate(step, database)
        finally:
            await database.close()


def _database(step: str, data_dir: Path) -> Database:
    prefix = f"ORDERFLOW_{step.upper()}_"
    given = load(DatabaseSettings, prefix).database_url
    return open_database(database_url(given, step, data_dir, f"{prefix}DATABASE_URL"))


def _activities(step: str) -> MakeActivities:
    """By convention: a step's package is `workers.<step>`."""
    found: MakeActivities = import_module(f"workers.{step}").activities
    return found
