"""One platform of real processes for all of these tests; each leaves it as whole as it found it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import workers.inventory
from tests.support.platform import RunningPlatform, running_platform
from tests.support.postgres import postgres_server, step_databases

BUSINESS_SKUS = [f"PART-{number:04}" for number in range(1000)]
"""Articles of the test platform beside those of the demo's catalogue."""


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """One whose steps keep their effects in SQLite, then one that has them in PostgreSQL."""
    folder = tmp_path_factory.mktemp("shared")
    catalogue = folder / "catalogue.csv"
    demo = (Path(workers.inventory.__file__).parent / "catalogue.csv").read_text()
    catalogue.write_text(demo + "".join(f"{sku},10\n" for sku in BUSINESS_SKUS))
    with ExitStack() as stack:
        databases = step_databases(stack.enter_context(postgres_server())) if request.param == "postgresql" else {}
        settings = {"ORDERFLOW_INVENTORY_CATALOGUE": str(catalogue), **databases}
        yield stack.enter_context(running_platform(folder / "data", **settings))
