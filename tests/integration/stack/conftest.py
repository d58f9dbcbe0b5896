"""The stack, brought up once for these tests and taken down after them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack, give_time, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    give_time(items, Path(__file__).parent)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), ["tests/integration/stack/receiver.yml"]) as running:
        yield running
