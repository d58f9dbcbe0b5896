"""The machine goes down and comes up again."""

import pytest

from tests.faults.checks import check_completed_once
from tests.support.containers import ContainerStack, docker
from tests.support.eventually import eventually

pytestmark = pytest.mark.containers


def test_whatever_comes_up_first(containers: ContainerStack) -> None:
    """Everything is killed at once and started again, what others need last: in the end each part is well, the order
    that was under way completes, a new one too, and no log line is lost or doubled."""
    containers.until_quiet()
    under_way = containers.place(payment_method="tok_flaky")
    before = containers.states()
    services = [name for name, (state, _) in before.items() if state == "running"]
    containers.compose("kill")
    # As the engine does it after a reboot: it knows nothing of what depends on what.
    for service in sorted(services, key=lambda name: name in ("postgres", "elasticsearch", "temporal")):
        docker("start", containers.compose("ps", "--all", "-q", service).strip())
    eventually(containers.states, 300, is_it=lambda states: states == before)
    for order_id in (under_way, containers.place()):
        check_completed_once(containers, order_id)
    containers.until_all_is_stored()
    containers.until_quiet()
