"""The stack, brought up once for these tests and taken down after them."""

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, running_stack

# Building its images and starting it are part of the first test's time.
START_SECONDS = 1500


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if __package__ in str(item.module.__name__) and item.get_closest_marker("timeout") is None:  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.timeout(START_SECONDS))


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), ["tests/integration/stack/receiver.yml"]) as running:
        yield running
