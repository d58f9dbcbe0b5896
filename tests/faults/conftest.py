"""One platform of real processes for all of these tests; each leaves it as whole as it found it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import workers.inventory
from tests.support.platform import RunningPlatform, running_platform
from tests.support.postgres import postgres_server, step_databases

BUSINESS_SKUS = [f"PART-{number:04}" for number in range(1000)]
"""Articles of the test platform beside those of the demo's catalogue."""


@contextmanager
def effects_kept_in(kind: str) -> Iterator[dict[str, str]]:
    """The settings for steps that keep their effects in "sqlite", or each in a database of its own in "postgresql"."""
    if kind == "sqlite":
        yield {}
        return
    with postgres_server() as server:
        yield step_databases(server)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """One whose steps keep their effects in SQLite, then one that has them in PostgreSQL."""
    folder = tmp_path_factory.mktemp("shared")
    catalogue = folder / "catalogue.csv"
    demo = (Path(workers.inventory.__file__).parent / "catalogue.csv").read_text()
    catalogue.write_text(demo + "".join(f"{sku},10\n" for sku in BUSINESS_SKUS))
    settings = {"ORDERFLOW_INVENTORY_CATALOGUE": str(catalogue)}
    with (
        effects_kept_in(request.param) as databases,
        running_platform(folder / "data", **settings, **databases) as running,
    ):
        yield running
