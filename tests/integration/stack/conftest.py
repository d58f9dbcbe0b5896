"""The stack, brought up once for these tests and taken down after them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.support.containers import ContainerStack, container_stack, docker_trouble, give_time
from tests.support.local_stack import local_stack
from tests.support.stack import Stack

# Set to "processes" it leaves a Docker engine alone.
CHOICE = "ORDERFLOW_TEST_STACK"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    give_time(items, Path(__file__).parent)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Containers where there is a Docker engine, else local processes."""
    folder = tmp_path_factory.mktemp("stack")
    if os.environ.get(CHOICE) == "processes" or docker_trouble():
        with local_stack(folder) as local:
            yield local
        return
    with container_stack(folder, ["tests/integration/stack/receiver.yml"]) as running:
        yield running


@pytest.fixture
def containers(stack: Stack) -> ContainerStack:
    if not isinstance(stack, ContainerStack):
        lacking("this is about containers, and the stack runs as local processes")
    return stack
