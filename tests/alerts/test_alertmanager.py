"""A real Alertmanager with our configuration: what it tells of alerts that begin, change and end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.alerting import WebHook, alertmanager, web_hook
from tests.support.eventually import eventually


class Alerts:
    """Sends alerts as Prometheus does, whole batches at once."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, *alerts: dict[str, str], ended: tuple[dict[str, str], ...] = ()) -> None:
        now = datetime.now(UTC)
        begun = [_alert(labels, now, now + timedelta(hours=1)) for labels in alerts]
        over = [_alert(labels, now - timedelta(minutes=1), now) for labels in ended]
        self._client.post("/api/v2/alerts", json=[*begun, *over]).raise_for_status()

    def silenced(self) -> set[str]:
        """The alerts that are silenced by others."""
        found = self._client.get("/api/v2/alerts").json()
        return {alert["labels"]["alertname"] for alert in found if alert["status"]["inhibitedBy"]}


def _alert(labels: dict[str, str], starts: datetime, ends: datetime) -> dict[str, object]:
    return {
        "labels": labels,
        "annotations": {"summary": labels["alertname"], "description": "…", "runbook_url": "…"},
        "startsAt": starts.isoformat(),
        "endsAt": ends.isoformat(),
    }


def of_queue(name: str, service: str) -> dict[str, str]:
    return {"alertname": name, "task_queue": service, "service": service}


@pytest.fixture
def people() -> Iterator[WebHook]:
    with web_hook() as hook:
        yield hook


@pytest.fixture
def watchdog() -> Iterator[WebHook]:
    with web_hook() as hook:
        yield hook


@pytest.fixture
def alerts(tmp_path: Path, people: WebHook, watchdog: WebHook) -> Iterator[Alerts]:
    settings = {"ORDERFLOW_ALERT_WEBHOOK_URL": people.url, "ORDERFLOW_ALERT_WATCHDOG_URL": watchdog.url}
    with alertmanager(tmp_path, settings) as client:
        yield Alerts(client)


def until_told(people: WebHook, *expected: tuple[str, str]) -> None:
    """Exactly these have been told by now, in this order."""
    eventually(people.told, 30, is_it=lambda told: len(told) >= len(expected))
    assert people.told() == list(expected)


def test_one_story_a_queue(alerts: Alerts, people: WebHook) -> None:
    """A queue that is absent, then orphaned, then well is three notifications, and three again the next time."""
    absent, orphaned = of_queue("TaskQueueAbsent", "shipping"), of_queue("TaskQueueOrphaned", "shipping")
    expected: list[tuple[str, str]] = []
    for _ in range(2):
        alerts.send(absent)
        until_told(people, *(expected := [*expected, ("firing", "TaskQueueAbsent")]))
        alerts.send(orphaned, ended=(absent,))
        until_told(people, *(expected := [*expected, ("firing", "TaskQueueOrphaned")]))
        alerts.send(ended=(orphaned,))
        until_told(people, *(expected := [*expected, ("resolved", "TaskQueueOrphaned")]))


def test_queues_are_told_apart(alerts: Alerts, people: WebHook) -> None:
    """Two queues make two notifications, each with the queue it is about."""
    alerts.send(of_queue("TaskQueueOrphaned", "shipping"), of_queue("TaskQueueAbsent", "payment"))
    eventually(lambda: len(people.received), 30, is_it=lambda count: count == 2)
    grouped = {
        one["groupLabels"]["service"]: [a["labels"]["task_queue"] for a in one["alerts"]] for one in people.received
    }
    assert grouped == {"shipping": ["shipping"], "payment": ["payment"]}


def test_what_follows_from_something_else_is_silenced(alerts: Alerts, people: WebHook) -> None:
    """An alert silences what follows from it: of the same service or queue only, but Temporal's those of all queues."""
    down = {"alertname": "ServiceDown", "instance": "here"}
    gone = {"alertname": "QueueMonitorGone", "service": "monitor"}
    shipping = of_queue("TaskQueueOrphaned", "shipping")
    payment = of_queue("TaskQueueAbsent", "payment")
    alerts.send(shipping, payment, gone, *(down | {"service": name} for name in ("shipping", "payment", "monitor")))
    assert eventually(alerts.silenced) == {"ServiceDown"}
    eventually(lambda: len(people.received), 30, is_it=lambda count: count == 3)
    assert sorted(people.told()) == [
        ("firing", "QueueMonitorGone"),
        ("firing", "TaskQueueAbsent"),
        ("firing", "TaskQueueOrphaned"),
    ]
    alerts.send(down | {"service": "api"})
    people.alert("firing", "ServiceDown", 30, service="api")

    alerts.send({"alertname": "TemporalUnreachable", "service": "temporal"})
    people.alert("firing", "TemporalUnreachable", 30)
    stalled = of_queue("TaskQueueStalled", "inventory")
    alerts.send(stalled)
    eventually(alerts.silenced, 30, is_it=lambda silenced: {"TaskQueueStalled", "TaskQueueAbsent"} < silenced)
    alerts.send(ended=({"alertname": "TemporalUnreachable", "service": "temporal"},))
    told = people.told()
    assert ("firing", "TaskQueueStalled") not in told
    people.alert("firing", "TaskQueueStalled", 30)


def test_the_watchdog_goes_its_own_way(alerts: Alerts, people: WebHook, watchdog: WebHook) -> None:
    """The watchdog reaches the address that waits for it, and no person."""
    alerts.send({"alertname": "Watchdog", "severity": "none"})
    watchdog.alert("firing", "Watchdog", 30)
    alerts.send({"alertname": "OrderTooOld", "severity": "warning"})
    people.alert("firing", "OrderTooOld", 40)
    assert {name for _, name in people.told()} == {"OrderTooOld"}
