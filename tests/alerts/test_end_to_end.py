"""From a worker that is not running to the notification: a real platform, Prometheus, Alertmanager, and receivers."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from contracts.registry import SERVICES
from tests.alerts.rules import metrics_used
from tests.faults.disturbances import stopped
from tests.support.alerting import WebHook, alertmanager, prometheus, web_hook
from tests.support.eventually import eventually
from tests.support.mail import Mailbox, mailbox, text_of
from tests.support.platform import RunningPlatform, running_platform
from tests.telemetry.test_metrics_table import ONCE_HAPPENED

ONLY_ONCE_HAPPENED = {*ONCE_HAPPENED, "alertmanager_notifications_failed_total"}
# Where logs are shipped: tests/integration/stack/test_log_shipper.py asks for these.
LOG_SHIPPERS = "orderflow_log_shipper_"


@dataclass(frozen=True)
class Alerting:
    platform: RunningPlatform
    prometheus: httpx.Client
    alertmanager: httpx.Client
    hook: WebHook
    watchdog: WebHook
    mailbox: Mailbox

    def query(self, expression: str) -> list[dict[str, str]]:
        """The labels of what an instant query finds."""
        answer = self.prometheus.get("/api/v1/query", params={"query": expression})
        answer.raise_for_status()
        return [found["metric"] for found in answer.json()["data"]["result"]]

    def until_quiet(self) -> None:
        """Nothing but the watchdog fires, and the monitor says that every queue is well."""
        firing = 'ALERTS{alertname!="Watchdog"} or orderflow_task_queue_state{state!="ok"} == 1 or up == 0'
        eventually(lambda: self.query(firing), 120, is_it=lambda found: found == [])
        eventually(lambda: self.query("count(up)"), 60, is_it=bool)

    def begin(self) -> None:
        """From a quiet platform, with nothing told yet."""
        self.until_quiet()
        eventually(self.hook.unresolved, 60, is_it=lambda names: names <= {"TaskQueueAbsent"})
        self.hook.received.clear()
        self.mailbox.taken.clear()


@pytest.fixture(scope="module")
def alerting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alerting]:
    folder = tmp_path_factory.mktemp("alerts")
    with ExitStack() as stack:
        hook, watchdog = stack.enter_context(web_hook()), stack.enter_context(web_hook())
        mail = stack.enter_context(mailbox())
        manager = stack.enter_context(
            alertmanager(
                folder,
                {
                    "ORDERFLOW_ALERT_WEBHOOK_URL": hook.url,
                    "ORDERFLOW_ALERT_WATCHDOG_URL": watchdog.url,
                    "ORDERFLOW_ALERT_MAIL_TO": "night@shop.example",
                    **mail.settings,
                },
            )
        )
        links = {
            "ORDERFLOW_RUNBOOKS_URL": "https://wiki.example/runbooks",
            "ORDERFLOW_JAEGER_URL": "http://jaeger.example",
            "ORDERFLOW_KIBANA_URL": "http://kibana.example",
            "ORDERFLOW_CONSOLE_URL": "http://console.example",
        }
        platform = stack.enter_context(running_platform(folder / "data", **links))
        offset = int(platform.environment["ORDERFLOW_HEALTH_PORT_OFFSET"])
        ports = {service.port: service.port + offset for service in SERVICES}
        ports[8080] = int(platform.environment["ORDERFLOW_API_PORT"])
        # The embedded platform knows where its own is.
        links["ORDERFLOW_TEMPORAL_UI_URL"] = f"http://127.0.0.1:{platform.environment['ORDERFLOW_TEMPORAL_UI_PORT']}"
        server = stack.enter_context(prometheus(folder, ports, manager.base_url.port or 0, links))
        yield Alerting(platform, server, manager, hook, watchdog, mail)


def test_an_order_that_nobody_ships_is_told_and_its_end_too(alerting: Alerting) -> None:
    """Shipping stopped and an order placed: web hook and mail say which queue, which order and what to run; the text
    is the monitor's own. Shipping started: the resolution is told, and the order completes."""
    alerting.begin()
    platform, hook = alerting.platform, alerting.hook
    with stopped(platform, "shipping"):
        order_id = platform.place()
        summary = "Task queue shipping is orphaned: 1 order waits and no shipping worker is running"
        firing = hook.alert("firing", "TaskQueueOrphaned", 60)
        assert firing["labels"] == {
            "alertname": "TaskQueueOrphaned",
            "task_queue": "shipping",
            "service": "shipping",
            "severity": "critical",
        }
        annotations = firing["annotations"]
        assert annotations["summary"] == summary
        assert annotations["runbook_url"] == "https://wiki.example/runbooks/task-queue-orphaned.md"
        message = eventually(lambda: [m for m in alerting.mailbox.taken if m["Subject"] == summary], 30)[0]
        assert f"Critical: {summary}\n{annotations['description']}\n" in text_of(message)
        lines = (platform.data_dir / "alerts.jsonl").read_text().splitlines()
        (own,) = [
            one for one in map(json.loads, lines) if one["alert"] == "TaskQueueOrphaned" and one["state"] == "firing"
        ]
        told = [line for line in own["text"].splitlines() if not line.startswith("Runbook:")]
        assert [annotations["summary"], *annotations["description"].splitlines()] == told
        assert order_id in annotations["description"]
    hook.alert("resolved", "TaskQueueOrphaned", 60)
    # By its last text: how many orders wait may have been counted anew.
    resolved = "Resolved: Task queue shipping is orphaned: "
    eventually(lambda: [m for m in alerting.mailbox.taken if resolved in text_of(m)], 30)
    platform.until(order_id, "completed")
    alerting.until_quiet()
    assert {name for _, name in hook.told()} <= {"TaskQueueAbsent", "TaskQueueOrphaned"}
    assert hook.told().count(("firing", "TaskQueueOrphaned")) == 1
    assert hook.unresolved() <= {"TaskQueueAbsent"}
    # Prometheus knew no Alertmanager yet when it first fired, and sends again after a minute.
    alerting.watchdog.alert("firing", "Watchdog", 90)
    assert {name for _, name in alerting.watchdog.told()} == {"Watchdog"}


def test_a_queue_is_not_told_as_well_while_nobody_knows(alerting: Alerting) -> None:
    """An orphaned queue stays so while the monitor is gone, and while Temporal is: those are told, the queue's alert is
    silenced by Temporal's, and it is resolved only when the worker is back."""
    alerting.begin()
    platform, hook = alerting.platform, alerting.hook
    with stopped(platform, "payment"):
        order_id = platform.place()
        hook.alert("firing", "TaskQueueOrphaned", 60, task_queue="payment")
        with stopped(platform, "monitor"):
            hook.alert("firing", "QueueMonitorGone", 90)
        hook.alert("resolved", "QueueMonitorGone", 60)
        with stopped(platform, "temporal"):
            hook.alert("firing", "TemporalUnreachable", 90)
            queues = {"filter": 'alertname="TaskQueueOrphaned"'}
            (orphaned,) = alerting.alertmanager.get("/api/v2/alerts", params=queues).json()
            assert orphaned["status"]["inhibitedBy"]
        hook.alert("resolved", "TemporalUnreachable", 60)
        assert ("resolved", "TaskQueueOrphaned") not in hook.told()
    hook.alert("resolved", "TaskQueueOrphaned", 90)
    platform.until(order_id, "completed")
    alerting.until_quiet()
    of_queues = [
        (status, alert["labels"]["task_queue"]) for status, name, alert in hook.alerts() if name.startswith("TaskQueue")
    ]
    assert set(of_queues) == {("firing", "payment"), ("resolved", "payment")}


def test_an_undo_that_fails_is_told(alerting: Alerting) -> None:
    """The first order whose payment can't be refunded is told, although its counter begins with 1."""
    alerting.begin()
    short = [{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 4900}]
    order_id = alerting.platform.place(payment_method="tok_refund_fails", items=short)
    alerting.platform.until(order_id, "needs_attention")
    firing = alerting.hook.alert("firing", "UndoFailed", 90)
    assert firing["annotations"]["summary"] == "An order needs attention: something that it did could not be undone"


def test_the_rules_ask_for_metrics_that_exist(alerting: Alerting) -> None:
    """Each metric in a rule is one that Prometheus has scraped here, or that docs/telemetry.md has as an exception."""
    alerting.platform.end(alerting.platform.place())
    used = metrics_used()
    assert "orderflow_task_queue_state" in used

    def missing() -> set[str]:
        there = set(alerting.prometheus.get("/api/v1/label/__name__/values").json()["data"])
        return {name for name in used - there - ONLY_ONCE_HAPPENED if not name.startswith(LOG_SHIPPERS)}

    eventually(missing, 60, is_it=lambda names: names == set())


def test_prometheus_evaluates_every_rule(alerting: Alerting) -> None:
    """No rule has failed in the real Prometheus, nor has a template of an annotation."""
    groups = alerting.prometheus.get("/api/v1/rules").json()["data"]["groups"]
    wrong = [
        (rule["name"], rule.get("lastError")) for group in groups for rule in group["rules"] if rule["health"] != "ok"
    ]
    assert wrong == []
    log = (alerting.platform.data_dir.parent / "prometheus.log").read_text()
    assert re.findall(r".*(?:error executing template|Expanding alert template failed).*", log) == []
