"""What the platform's log tells of an order: each event once, at its level, with all that is needed to find it."""

from collections import Counter
from collections.abc import Iterator

import pytest

from contracts.registry import BY_NAME
from tests.faults.checks import cancel, until_begun, until_charged
from tests.faults.disturbances import stopped
from tests.support.order_lines import COMPLETED, all_lines, until_told
from tests.support.platform import RunningPlatform, running_platform

PAID = Counter({"info order-received": 1, "info step-started take_payment": 1, "info step-done take_payment": 1})
RESERVED = PAID + Counter(["info step-started reserve_items", "info step-done reserve_items"])
TOLD = Counter({"info notice-started tell_customer": 1, "info notice-done tell_customer": 1})
ENDED = Counter({"info order-ended": 1})
SOLD_OUT = [{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 100}]


def undone(*activities: str) -> Counter[str]:
    return Counter(f"info undo-{what} {activity}" for activity in activities for what in ("started", "done"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """Without a cache of workflows, so that each workflow task replays its order from the beginning."""
    with running_platform(
        tmp_path_factory.mktemp("lines"),
        ORDERFLOW_MAX_CACHED_WORKFLOWS="0",
        ORDERFLOW_GRACEFUL_SHUTDOWN_SECONDS="1",
    ) as running:
        yield running


def test_completed(platform: RunningPlatform) -> None:
    """An order that completes is told by one line for each of its events."""
    until_told(platform.data_dir, platform.place(), COMPLETED)


def test_refused(platform: RunningPlatform) -> None:
    """A refusal is an answer and no fault: it is told once, as information, with its reason."""
    lines = until_told(
        platform.data_dir,
        platform.place(payment_method="tok_declined"),
        PAID - Counter(["info step-done take_payment"]) + Counter(["info step-refused take_payment"]) + TOLD + ENDED,
    )
    [refused] = [line for line in lines if line["event.action"] == "step-refused"]
    assert refused["orderflow.reason"] == "card_declined"
    assert refused["orderflow.step"] == "payment"
    assert "error.type" not in refused


def test_out_of_stock(platform: RunningPlatform) -> None:
    """What is undone after a refusal is told, each undo by its beginning and its end."""
    until_told(
        platform.data_dir,
        platform.place(items=SOLD_OUT),
        PAID
        + Counter(["info step-started reserve_items", "info step-refused reserve_items"])
        + undone("refund_payment")
        + TOLD
        + ENDED,
    )


def test_undo_refused(platform: RunningPlatform) -> None:
    """An undo that is refused is an error, and so is the order's end: a person has to look."""
    lines = until_told(
        platform.data_dir,
        platform.place(items=SOLD_OUT, payment_method="tok_refund_fails"),
        PAID
        + Counter(["info step-started reserve_items", "info step-refused reserve_items"])
        + Counter(["info undo-started refund_payment", "error undo-refused refund_payment"])
        + TOLD
        + Counter(["error order-ended"]),
    )
    [ended] = [line for line in lines if line["event.action"] == "order-ended"]
    assert ended["orderflow.outcome"] == "needs_attention"


def test_retried(platform: RunningPlatform) -> None:
    """Each attempt that fails is told once, as a warning, with its fault and when the next one comes."""
    order_id = platform.place(payment_method="tok_flaky")
    more = Counter({"info step-started take_payment": 2, "warning step-retried take_payment": 2})
    lines = until_told(platform.data_dir, order_id, COMPLETED + more)
    retried = [line for line in lines if line["event.action"] == "step-retried"]
    assert [line["temporal.attempt"] for line in retried] == [1, 2]
    assert [line["orderflow.next_try_seconds"] for line in retried] == [1.0, 2.0]
    assert {line["error.type"] for line in retried} == {"OutsideUnavailable"}
    assert all("no answer" in line["message"] for line in retried)


def test_cancelled(platform: RunningPlatform) -> None:
    """A cancelled order tells the wish, the step that was called off, and each undo, newest first."""
    order_id = platform.place(postal_code="SIM-SLOW")
    until_begun(platform, order_id, "ship_order")
    assert cancel(platform, order_id).status_code == 202
    lines = until_told(
        platform.data_dir,
        order_id,
        RESERVED
        + Counter(["info step-started ship_order", "info step-cancelled ship_order", "info order-cancel"])
        + undone("recall_parcel", "release_items", "refund_payment")
        + TOLD
        + ENDED,
    )
    undos = [line["temporal.activity_type"] for line in lines if line["event.action"] == "undo-done"]
    assert undos == ["recall_parcel", "release_items", "refund_payment"]


def test_given_back(platform: RunningPlatform) -> None:
    """A worker that is stopped in mid-activity gives the work back and tells so; the next attempt is told too."""
    order_id = platform.place(payment_method="tok_slow_answer")
    until_charged(platform, order_id)
    with stopped(platform, "payment"):
        begun = Counter({"info order-received": 1, "info step-started take_payment": 1})
        until_told(platform.data_dir, order_id, begun + Counter(["warning step-given-back take_payment"]))
    more = Counter(["info step-started take_payment", "warning step-given-back take_payment"])
    until_told(platform.data_dir, order_id, COMPLETED + more)


def test_nothing_is_told_twice_after_a_restart(platform: RunningPlatform) -> None:
    """Orders that waited while the order worker was started anew are told once, though they are replayed."""
    with stopped(platform, "shipping"):
        waiting = [platform.place() for _ in range(3)]
        for order_id in waiting:
            until_told(platform.data_dir, order_id, RESERVED)
        with stopped(platform, "order"):
            pass
        # Each has a task done by the new worker.
        assert {platform.order(order_id)["status"] for order_id in waiting} == {"shipping"}
    for order_id in waiting:
        until_told(platform.data_dir, order_id, COMPLETED)


def test_every_line_can_be_found(platform: RunningPlatform) -> None:
    """Every line of every service has the common fields; an order's have the order, its workflow, trace and event."""
    order_id = platform.place()
    until_told(platform.data_dir, order_id, COMPLETED)
    lines = all_lines(platform.data_dir)
    assert {line["service.name"] for line in lines} == set(BY_NAME)
    common = {"@timestamp", "log.level", "message", "ecs.version", "event.id", "log.logger", "service.version"}
    for line in lines:
        assert common <= line.keys(), line
        assert line["event.dataset"] == f"orderflow.{line['service.name']}"
        assert not any(isinstance(value, dict | list) for value in line.values()), line
    assert len({line["event.id"] for line in lines}) == len(lines)

    traces: dict[str, set[str]] = {}
    for line in lines:
        if "order.id" in line or line.get("temporal.workflow_id", "").startswith("order-"):
            assert line["temporal.workflow_id"] == f"order-{line['order.id']}", line
            assert {"trace.id", "span.id", "event.action"} <= line.keys(), line
            if line["event.action"] != "order-cancel":  # A request of its own.
                traces.setdefault(line["order.id"], set()).add(line["trace.id"])
    assert order_id in traces
    assert all(len(found) == 1 for found in traces.values()), traces
