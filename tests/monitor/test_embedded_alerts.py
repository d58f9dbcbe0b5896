"""Without Prometheus: the queue monitor notifies by itself."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta

import httpx

from contracts.queues import QueueState
from contracts.registry import BY_NAME
from tests.faults.checks import cancel, check_completed_once
from tests.faults.disturbances import frozen, stopped
from tests.monitor.alerts import Told, journal, queues, state, until_all_ok
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform
from tests.support.telemetry_back_end import RecordingBackEnd, hanging_back_end, recording_back_end


def test_orphaned_queue(watched: RunningPlatform, webhook: RecordingBackEnd) -> None:
    """The stopped shipping worker is told once, with what a person needs, and once that it is back; orders complete."""
    until_all_ok(watched)
    told = Told(watched, webhook)
    with stopped(watched, "shipping"):
        order_ids = [watched.place() for _ in range(12)]
        for order_id in order_ids:
            watched.until(order_id, "shipping")
        firing = told.until("shipping", "TaskQueueOrphaned", "firing")
        assert firing.queue_state is QueueState.ORPHANED
        assert firing.task_queue == "shipping"
        assert firing.severity == "critical"
        assert firing.title == "Task queue shipping is orphaned: 12 orders wait and no shipping worker is running"
        assert (firing.waiting, firing.order_ids) == (12, order_ids[:10])
        assert timedelta(0) < firing.at - firing.since < timedelta(seconds=60)
        for needed in (
            *order_ids[:10],
            "orderflow start shipping",
            "docker compose start shipping",
            "kubectl rollout restart deployment/shipping",
            "docs/runbooks/task-queue-orphaned.md",
            f"http://127.0.0.1:{watched.environment['ORDERFLOW_TEMPORAL_UI_PORT']}/namespaces/default/task-queues/shipping",
        ):
            assert needed in firing.text
    resolved = told.until("shipping", "TaskQueueOrphaned", "resolved")
    assert resolved.queue_state is QueueState.OK
    assert resolved.incident == firing.incident
    for order_id in order_ids:
        check_completed_once(watched, order_id)
    until_all_ok(watched)
    assert told.turns() == [("shipping", "TaskQueueOrphaned", turn) for turn in ("firing", "resolved")]
    posted = eventually(told.posted, is_it=lambda posted: len(posted) == 2)
    assert posted == [("failure", f"[FIRING] {firing.title}"), ("success", f"[RESOLVED] {resolved.title}")]


def test_absent_then_orphaned(watched: RunningPlatform) -> None:
    """A queue that loses its worker before anything waits is told as absent; when an order comes, as orphaned."""
    until_all_ok(watched)
    told = Told(watched)
    with stopped(watched, "notification"):
        absent = told.until("notification", "TaskQueueAbsent", "firing")
        assert (
            absent.title == "Task queue notification is absent: no notification worker is running; no order waits yet"
        )
        order_id = watched.place()
        orphaned = told.until("notification", "TaskQueueOrphaned", "firing")
        assert (orphaned.waiting, orphaned.order_ids) == (1, [order_id])
        assert orphaned.incident == absent.incident
        assert orphaned.since > absent.since
    told.until("notification", "TaskQueueOrphaned", "resolved")
    check_completed_once(watched, order_id)
    assert [turn for _, _, turn in told.turns()] == ["firing", "firing", "resolved"]


def test_hung_worker(watched: RunningPlatform) -> None:
    """A worker that lives and does nothing is told, and that it goes on."""
    until_all_ok(watched)
    told = Told(watched)
    with frozen(watched, "inventory"):
        order_id = watched.place()
        firing = told.until("inventory", "TaskQueueOrphaned", "firing", 75)
        assert firing.order_ids == [order_id]
    told.until("inventory", "TaskQueueOrphaned", "resolved")
    check_completed_once(watched, order_id)


def test_an_undo_waits(watched: RunningPlatform) -> None:
    """An order that waits to be refunded counts among those that wait for the payment worker."""
    until_all_ok(watched)
    told = Told(watched)
    order_id = watched.place(postal_code="SIM-SLOW")
    watched.until(order_id, "shipping")
    with stopped(watched, "payment"):
        cancel(watched, order_id)
        firing = told.until("payment", "TaskQueueOrphaned", "firing")
        assert watched.order(order_id)["status"] == "undoing"
        assert (firing.waiting, firing.order_ids) == (1, [order_id])
    assert watched.end(order_id)["status"] == "cancelled"


def test_no_order_worker(watched: RunningPlatform) -> None:
    """Without an order worker every running order waits."""
    until_all_ok(watched)
    told = Told(watched)
    with stopped(watched, "order"):
        order_id = watched.place()
        firing = told.until("order", "TaskQueueOrphaned", "firing")
        assert (firing.waiting, firing.order_ids) == (1, [order_id])
        assert firing.title == "Task queue order is orphaned: 1 order waits and no order worker is running"
    check_completed_once(watched, order_id)


def test_killed_monitor(watched: RunningPlatform, webhook: RecordingBackEnd) -> None:
    """A monitor that is killed while an alert fires tells neither that it fires nor that it is resolved twice."""
    until_all_ok(watched)
    told = Told(watched, webhook)
    with stopped(watched, "shipping"):
        watched.place()
        told.until("shipping", "TaskQueueOrphaned", "firing")
        eventually(told.posted)
        killed = watched.pid("monitor")
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: watched.status()["monitor"]["pid"], is_it=lambda pid: pid not in (killed, None))
        # It judges anew, and comes to what it had told before.
        eventually(lambda: _is(watched, "shipping", QueueState.ORPHANED), 60)
        with stopped(watched, "monitor"):
            watched.run("start", "shipping")
    told.until("shipping", "TaskQueueOrphaned", "resolved")
    until_all_ok(watched)
    # Of shipping alone: on a starved machine another queue may be late too, and is rightly told of.
    assert [turn for service, _, turn in told.turns() if service == "shipping"] == ["firing", "resolved"]
    eventually(
        lambda: [kind for kind, title in told.posted() if "queue shipping" in title],
        is_it=lambda kinds: kinds == ["failure", "success"],
    )


def test_temporal_gone(watched: RunningPlatform) -> None:
    """While Temporal is down all queues are unknown and it alone is told of; no queue is told of when it is back."""
    until_all_ok(watched)
    told = Told(watched)
    with stopped(watched, "temporal"):
        eventually(
            lambda: {queue.state for queue in queues(watched).queues}, is_it=lambda it: it == {QueueState.UNKNOWN}
        )
        firing = told.until("temporal", "TemporalUnreachable", "firing")
        assert firing.task_queue is None
        assert "orderflow start temporal" in firing.text
        assert watched.status()["monitor"]["state"] != "running"
    until_all_ok(watched)
    assert told.turns() == [("temporal", "TemporalUnreachable", turn) for turn in ("firing", "resolved")]


def test_receivers_in_trouble(watched: RunningPlatform) -> None:
    """A receiver that hangs or refuses is tried again and keeps nobody waiting; what it missed it gets in order."""
    until_all_ok(watched)
    told = Told(watched)
    with recording_back_end(answer=500) as failing, hanging_back_end() as hanging:
        urls = " ".join(url.replace("http://", "json://") for url in (failing.url, hanging))
        port = BY_NAME["monitor"].port + int(watched.environment["ORDERFLOW_HEALTH_PORT_OFFSET"])
        settings = {
            "ORDERFLOW_ALERT_URLS": urls,
            "ORDERFLOW_HEALTH_PORT": str(port),
            "TEMPORAL_ADDRESS": watched.temporal_address,
        }
        other = RunningPlatform(watched.data_dir, watched.environment | settings)
        other.http.close()
        with stopped(watched, "monitor"):
            process = other.start("monitor")
            try:
                eventually(lambda: _is(watched, "shipping", QueueState.OK))
                with stopped(watched, "shipping"):
                    told.until("shipping", "TaskQueueAbsent", "firing")
                    eventually(lambda: len(failing.received), is_it=lambda tries: tries >= 2)
                    assert len(journal(watched)["undelivered"]) == 3
                    looked_at = queues(watched).looked_at
                    assert looked_at is not None
                    assert datetime.now(UTC) - looked_at < timedelta(seconds=8)
                told.until("shipping", "TaskQueueAbsent", "resolved")
                failing.answer = 200
                tried = len(failing.received)
                taken = eventually(lambda: failing.received[tried:], is_it=lambda taken: len(taken) >= 2)
                kinds = [json.loads(body)["type"] for _, body in taken]
                assert kinds == ["warning", "success"]
            finally:
                process.terminate()
                process.wait(30)
    until_all_ok(watched)
    assert [turn for _, _, turn in told.turns()] == ["firing", "resolved"]


def _is(platform: RunningPlatform, service: str, wanted: QueueState) -> bool:
    """What a monitor that may be just starting says of the service's queue."""
    try:
        return state(platform, service) is wanted
    except (httpx.TransportError, StopIteration):
        return False
