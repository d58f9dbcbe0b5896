"""One platform of real processes for all of these tests; each leaves it as whole as it found it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import workers.inventory
from tests.support.platform import RunningPlatform, running_platform

BUSINESS_SKUS = [f"PART-{number:04}" for number in range(1000)]
"""Articles of the test platform beside those of the demo's catalogue."""


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("shared")
    catalogue = folder / "catalogue.csv"
    demo = (Path(workers.inventory.__file__).parent / "catalogue.csv").read_text()
    catalogue.write_text(demo + "".join(f"{sku},10\n" for sku in BUSINESS_SKUS))
    with running_platform(folder / "data", ORDERFLOW_INVENTORY_CATALOGUE=str(catalogue)) as running:
        yield running
