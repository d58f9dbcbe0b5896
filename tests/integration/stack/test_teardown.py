"""What the stack leaves behind. The last of these tests: the stack is gone after it."""

import pytest

from tests.support.containers import PROJECT, ContainerStack, docker

pytestmark = pytest.mark.containers


def test_a_stop_drains(containers: ContainerStack) -> None:
    """`docker stop` lets each of our services end by itself, in time, with exit code 0."""
    ours = ["api", "order", "payment", "inventory", "shipping", "notification", "monitor"]
    containers.compose("stop", *ours)
    codes = {}
    for service in ours:
        container = containers.compose("ps", "--all", "-q", service).strip()
        codes[service] = docker("inspect", "-f", "{{.State.ExitCode}}", container).stdout.strip()
    assert codes == dict.fromkeys(ours, "0")


def test_down_leaves_nothing(containers: ContainerStack) -> None:
    """`down -v` leaves no container, no network and no volume of the project."""
    label = f"label=com.docker.compose.project={PROJECT}"
    there = {
        "containers": ("ps", "-aq", "--filter", label),
        "networks": ("network", "ls", "-q", "--filter", label),
        "volumes": ("volume", "ls", "-q", "--filter", label),
    }
    assert all(docker(*ask).stdout for ask in there.values())
    containers.compose("down", "-v")
    assert {what: docker(*ask).stdout for what, ask in there.items()} == dict.fromkeys(there, "")
