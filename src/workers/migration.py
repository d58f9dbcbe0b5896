"""Bringing a step's database to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from workers.database import Database

_WORKERS = Path(__file__).parent


async def migrate(step: str, database: Database) -> None:
    """Safe to repeat, and for several workers at once."""
    await database.transaction(lambda connection: command.upgrade(migration_config(step, connection), "heads"))


def migration_config(step: str, connection: Connection) -> Config:
    """Alembic's configuration for one step: the common revisions (the ledger) and the step's own."""
    config = Config()
    config.set_main_option("script_location", str(_WORKERS / "migrations"))
    config.set_main_option("path_separator", "os")
    own = _WORKERS / step / "migrations"
    locations = [_WORKERS / "migrations" / "versions", *([own] if own.is_dir() else [])]
    config.set_main_option("version_locations", ":".join(str(location) for location in locations))
    config.attributes["connection"] = connection
    return config
