"""Money, and the service registry."""

import pytest

from contracts.money import readable
from contracts.orders import ENDS
from contracts.registry import BY_NAME, SERVICES, STATUSES, STEPS, WORKERS, task_queue


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (4500, "EUR", "45.00 EUR"),
        (4500, "JPY", "4500 JPY"),
        (4500, "KWD", "4.500 KWD"),
        (4500, "CLF", "0.4500 CLF"),
        (5, "USD", "0.05 USD"),
        (0, "USD", "0.00 USD"),
        (10_000_000_000_000, "GBP", "100000000000.00 GBP"),
    ],
)
def test_money_is_written_with_its_currency_s_decimals(minor: int, currency: str, text: str) -> None:
    """An amount is written with as many decimals as its currency has, and no cent is lost."""
    assert readable(minor, currency) == text


def test_names_queues_and_ports_are_each_used_once() -> None:
    """No two services share a name, a task queue or a port, and no two steps an activity or a status."""
    for values in (
        [service.name for service in SERVICES],
        [service.port for service in SERVICES],
        [service.task_queue for service in WORKERS],
        [name for step in STEPS.values() for name in (step.activity, step.undo) if name],
        list(STATUSES),
    ):
        assert len(set(values)) == len(values)


def test_the_statuses_are_the_promised_ones() -> None:
    """The words for an order's status that people and scripts rely on, in the order in which an order meets them."""
    underway = ["received", "paying", "reserving", "shipping", "confirming", "undoing"]
    ends = ["completed", "refused", "cancelled", "failed", "needs_attention"]
    assert [str(status) for status in STATUSES] == underway + ends
    assert {str(status) for status in ENDS} == set(ends)


def test_only_services_with_a_queue_have_one() -> None:
    """Asking for a queue that is not there is an error, never an empty answer."""
    assert {service.name: task_queue(service.name) for service in WORKERS} == {
        service.name: service.task_queue for service in WORKERS
    }
    for name in ("api", "nobody"):
        with pytest.raises(KeyError):
            task_queue(name)
    assert BY_NAME.keys() >= STEPS.keys()
