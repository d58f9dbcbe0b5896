"""What people are told of a queue: each turn once, with what they need at night."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.queues import QueueState
from contracts.registry import WORKERS
from monitor.incidents import ALERTS, Incident, Incidents, Told, Turn
from monitor.links import Links
from monitor.notices import notice, summary
from monitor.waiting import Waiting

SINCE = datetime(2026, 1, 15, 9, 30, tzinfo=UTC).timestamp()
UNWELL = [state for state in QueueState if state is not QueueState.OK]


def told_of(states: list[QueueState]) -> list[tuple[Turn, QueueState]]:
    incidents, found = Incidents(), []
    for at, state in enumerate(states):
        incidents, told = incidents.after("shipping", state, float(at))
        if told is not None:
            found.append((told.turn, told.incident.state))
    return found


@given(st.lists(st.sampled_from(QueueState), max_size=30))
def test_each_turn_is_told_once(states: list[QueueState]) -> None:
    """A state that stays is told once, each change is told, and an end only of what has begun."""
    found = told_of(states)
    changes = [after for before, after in zip([QueueState.OK, *states], states, strict=False) if before is not after]
    assert len(found) == len(changes)
    for (turn, _), state in zip(found, changes, strict=True):
        assert turn is (Turn.RESOLVED if state is QueueState.OK else Turn.FIRING)


def test_an_incident_that_gets_worse_is_the_same_incident() -> None:
    """Absent, then orphaned: both bear one incident's id, and it is resolved once."""
    incidents, absent = Incidents().after("shipping", QueueState.ABSENT, SINCE)
    incidents, orphaned = incidents.after("shipping", QueueState.ORPHANED, SINCE + 30)
    incidents, resolved = incidents.after("shipping", QueueState.OK, SINCE + 60)
    assert absent is not None
    assert orphaned is not None
    assert resolved is not None
    assert absent.incident.id == orphaned.incident.id == resolved.incident.id
    assert resolved.incident.state is QueueState.ORPHANED
    assert not incidents.firing


def test_services_have_incidents_of_their_own() -> None:
    """Two services that are unwell are told of apart."""
    incidents, _ = Incidents().after("shipping", QueueState.ABSENT, SINCE)
    incidents, told = incidents.after("payment", QueueState.ABSENT, SINCE)
    assert told is not None
    assert told.incident.service == "payment"
    assert set(incidents.firing) == {"shipping", "payment"}


WAITING = Waiting(12, tuple((f"order-id-{n:02}", datetime.fromtimestamp(SINCE + n, UTC)) for n in range(10)))
LINKS = Links(
    namespace="shop",
    runbooks="https://runbooks.example/orderflow",
    temporal_ui="https://temporal.example",
    jaeger="https://jaeger.example",
    kibana="https://kibana.example",
    console="https://console.example",
)


def test_the_text_has_what_a_person_needs() -> None:
    """State, since when, how many orders wait, the ten oldest, what to run, and links to all that is configured."""
    told = Told(Turn.FIRING, Incident("shipping", QueueState.ORPHANED, SINCE, SINCE))
    assert notice(told, WAITING, 40.0, SINCE + 12, LINKS).text.splitlines() == [
        "Task queue shipping is orphaned: 12 orders wait and no shipping worker is running",
        "Since:        2026-01-15 09:30:00 UTC",
        "Orders:       order-id-00",
        *(f"              order-id-{n:02}" for n in range(1, 10)),
        "              …",
        "Run:          orderflow start shipping",
        "              docker compose start shipping",
        "              kubectl rollout restart deployment/shipping",
        "Runbook:      https://runbooks.example/orderflow/task-queue-orphaned.md",
        "Temporal UI:  https://temporal.example/namespaces/shop/task-queues/shipping",
        "Oldest order: https://temporal.example/namespaces/shop/workflows/order-order-id-00",
        "Jaeger:       https://jaeger.example/search?service=api&tags=%7B%22order.id%22%3A%20%22order-id-00%22%7D",
        "Kibana:       https://kibana.example/app/discover#/?_a=(query:(language:kuery,query:'order.id:%22order-id-00%22'))",
        "Console:      https://console.example/orders/order-id-00",
    ]


def test_what_is_not_configured_or_not_known_is_left_out() -> None:
    """Without links and with orders that could not be counted the text says what it knows, and no more."""
    told = Told(Turn.FIRING, Incident("shipping", QueueState.ORPHANED, SINCE, SINCE))
    found = notice(told, None, 40.0, SINCE + 12, Links())
    assert found.title == "Task queue shipping is orphaned: tasks wait and no shipping worker is running"
    assert (found.waiting, found.order_ids) == (None, [])
    assert "http" not in found.text


@pytest.mark.parametrize("state", UNWELL)
def test_a_resolution_says_how_long_it_took(state: QueueState) -> None:
    """What is over is told with the time that it took, without anything to run."""
    told = Told(Turn.RESOLVED, Incident("order", state, SINCE + 50, SINCE))
    found = notice(told, WAITING, 0.0, SINCE + 3_725, LINKS)
    assert "after 1 h 2 min" in found.title
    assert "Run:" not in found.text
    assert found.queue_state is QueueState.OK
    assert found.alert == ALERTS[state]


@pytest.mark.parametrize(
    ("state", "orders", "text"),
    [
        (QueueState.ABSENT, 0, "Task queue order is absent: no order worker is running; no order waits yet"),
        (QueueState.ORPHANED, 1, "Task queue order is orphaned: 1 order waits and no order worker is running"),
        (QueueState.ORPHANED, 3, "Task queue order is orphaned: 3 orders wait and no order worker is running"),
        (
            QueueState.STALLED,
            3,
            "Task queue order is stalled: order workers are running, but the oldest task has waited 75 s; "
            "3 orders wait",
        ),
    ],
)
def test_summaries(state: QueueState, orders: int, text: str) -> None:
    """One line says which queue, in what state, and what that means."""
    assert summary("order", "order", state, orders, 75.2) == text


def test_every_service_with_a_queue_can_be_told_of() -> None:
    """A notification can be made for each queue of the registry and each state, under the alert's own name."""
    for service in WORKERS:
        for state in UNWELL:
            found = notice(Told(Turn.FIRING, Incident(service.name, state, SINCE, SINCE)), WAITING, 1.0, SINCE, LINKS)
            assert (found.task_queue, found.alert) == (service.task_queue, ALERTS[state])
