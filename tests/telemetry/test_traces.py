"""An order's trace: whole, as it was, and true while it is still growing."""

import secrets
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from contracts.registry import STEPS, task_queue
from contracts.steps import TELL_CUSTOMER
from telemetry import names
from tests.faults.checks import cancel, history, until_begun, until_charged, until_parcel_left
from tests.faults.disturbances import kill, stopped, write_locked
from tests.support.eventually import eventually
from tests.support.otlp import Receiver, Span
from tests.support.platform import RunningPlatform, an_order
from tests.telemetry.trees import lacking_parent, until_span, until_tree
from workflow.hold import HOLD_ACTIVITY

CALLER = "00f067aa0ba902b7"
"""The span id of a caller of the API that traces itself."""
SOLD_OUT = [{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 100}]
STUCK_IN_SHIPPING = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → done
      ledger begin · inventory
      reserve · inventory
      ledger done · inventory
  StartActivity:ship_order · order
"""
COMPLETED = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → completed
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → done
      ledger begin · inventory
      reserve · inventory
      ledger done · inventory
  StartActivity:ship_order · order
    WaitActivity:ship_order · shipping #1
    RunActivity:ship_order · shipping #1 → done
      ledger begin · shipping
      send parcel · shipping
      ledger done · shipping
  StartActivity:confirm_order · order
    WaitActivity:confirm_order · notification #1
    RunActivity:confirm_order · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
DECLINED = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → refused (card_declined)
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → refused (card_declined)
      ledger begin · payment
      ledger refused · payment
  StartActivity:tell_customer · order
    WaitActivity:tell_customer · notification #1
    RunActivity:tell_customer · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
OUT_OF_STOCK = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → refused (out_of_stock)
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → refused (out_of_stock)
      ledger begin · inventory
      reserve · inventory
      ledger refused · inventory
  StartActivity:refund_payment · order
    WaitActivity:refund_payment · payment #1
    RunActivity:refund_payment · payment #1 → done
      ledger begin · payment
      ledger undoing · payment
      refund · payment
      ledger undone · payment
  StartActivity:tell_customer · order
    WaitActivity:tell_customer · notification #1
    RunActivity:tell_customer · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
CANCELLED_IN_PAYMENT = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → cancelled (cancelled)
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → cancelled
      ledger begin · payment
  CancelWorkflow · api
  StartActivity:hold_step · order
    WaitActivity:hold_step · order #1
    RunActivity:hold_step · order #1 → done
  StartActivity:refund_payment · order
    WaitActivity:refund_payment · payment #1
    RunActivity:refund_payment · payment #1 → done
      ledger begin · payment
      ledger undoing · payment
      refund · payment
      ledger undone · payment
  StartActivity:tell_customer · order
    WaitActivity:tell_customer · notification #1
    RunActivity:tell_customer · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
CANCELLED_IN_INVENTORY = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → cancelled (cancelled)
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → cancelled
      ledger begin · inventory
  CancelWorkflow · api
  StartActivity:hold_step · order
    WaitActivity:hold_step · order #1
    RunActivity:hold_step · order #1 → done
  StartActivity:release_items · order
    WaitActivity:release_items · inventory #1
    RunActivity:release_items · inventory #1 → done
      ledger begin · inventory
  StartActivity:refund_payment · order
    WaitActivity:refund_payment · payment #1
    RunActivity:refund_payment · payment #1 → done
      ledger begin · payment
      ledger undoing · payment
      refund · payment
      ledger undone · payment
  StartActivity:tell_customer · order
    WaitActivity:tell_customer · notification #1
    RunActivity:tell_customer · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
CANCELLED_IN_SHIPPING = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → cancelled (cancelled)
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → done
      ledger begin · inventory
      reserve · inventory
      ledger done · inventory
  StartActivity:ship_order · order
    WaitActivity:ship_order · shipping #1
    RunActivity:ship_order · shipping #1 → cancelled
      ledger begin · shipping
  CancelWorkflow · api
  StartActivity:hold_step · order
    WaitActivity:hold_step · order #1
    RunActivity:hold_step · order #1 → done
  StartActivity:recall_parcel · order
    WaitActivity:recall_parcel · shipping #1
    RunActivity:recall_parcel · shipping #1 → done
      ledger begin · shipping
      ledger undoing · shipping
      recall parcel · shipping
      ledger undone · shipping
  StartActivity:release_items · order
    WaitActivity:release_items · inventory #1
    RunActivity:release_items · inventory #1 → done
      ledger begin · inventory
      ledger undoing · inventory
      release · inventory
      ledger undone · inventory
  StartActivity:refund_payment · order
    WaitActivity:refund_payment · payment #1
    RunActivity:refund_payment · payment #1 → done
      ledger begin · payment
      ledger undoing · payment
      refund · payment
      ledger undone · payment
  StartActivity:tell_customer · order
    WaitActivity:tell_customer · notification #1
    RunActivity:tell_customer · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
PAYMENT_KILLED = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → completed
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    WaitActivity:take_payment · payment #2
    RunActivity:take_payment · payment #2 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → done
      ledger begin · inventory
      reserve · inventory
      ledger done · inventory
  StartActivity:ship_order · order
    WaitActivity:ship_order · shipping #1
    RunActivity:ship_order · shipping #1 → done
      ledger begin · shipping
      send parcel · shipping
      ledger done · shipping
  StartActivity:confirm_order · order
    WaitActivity:confirm_order · notification #1
    RunActivity:confirm_order · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
SHIPPING_KILLED = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → completed
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → done
      ledger begin · inventory
      reserve · inventory
      ledger done · inventory
  StartActivity:ship_order · order
    WaitActivity:ship_order · shipping #1
    WaitActivity:ship_order · shipping #2
    RunActivity:ship_order · shipping #2 → done
      ledger begin · shipping
      send parcel · shipping
      ledger done · shipping
  StartActivity:confirm_order · order
    WaitActivity:confirm_order · notification #1
    RunActivity:confirm_order · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
PAYMENT_RETRIED = """
order · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
  RunWorkflow:OrderWorkflow · order → completed
  StartActivity:take_payment · order
    WaitActivity:take_payment · payment #1
    RunActivity:take_payment · payment #1 → failed ERROR
      ledger begin · payment
    WaitActivity:take_payment · payment #2
    RunActivity:take_payment · payment #2 → failed ERROR
      ledger begin · payment
    WaitActivity:take_payment · payment #3
    RunActivity:take_payment · payment #3 → done
      ledger begin · payment
      charge · payment
      ledger done · payment
  StartActivity:reserve_items · order
    WaitActivity:reserve_items · inventory #1
    RunActivity:reserve_items · inventory #1 → done
      ledger begin · inventory
      reserve · inventory
      ledger done · inventory
  StartActivity:ship_order · order
    WaitActivity:ship_order · shipping #1
    RunActivity:ship_order · shipping #1 → done
      ledger begin · shipping
      send parcel · shipping
      ledger done · shipping
  StartActivity:confirm_order · order
    WaitActivity:confirm_order · notification #1
    RunActivity:confirm_order · notification #1 → done
      ledger begin · notification
      ledger done · notification
"""
NOT_PLACED_AGAIN = """
order not placed · api
  POST /orders · api
  StartWorkflow:OrderWorkflow · api
"""


def trace_id(platform: RunningPlatform, order_id: str) -> str:
    return str(platform.order(order_id)["trace_id"])


def cancelled_in_payment(platform: RunningPlatform) -> str:
    """An order that is cancelled while its card is being charged."""
    order_id = platform.place(payment_method="tok_slow")
    until_begun(platform, order_id, "take_payment")
    assert cancel(platform, order_id).status_code == 202
    return order_id


def test_completed(platform: RunningPlatform, receiver: Receiver) -> None:
    """The trace of a completed order shows each step's wait, its attempt, and what it did to the outside."""
    order_id = platform.place()
    assert platform.end(order_id)["status"] == "completed"
    until_tree(receiver, trace_id(platform, order_id), COMPLETED)


def test_declined(platform: RunningPlatform, receiver: Receiver) -> None:
    """The trace of a declined order shows the refusal with its reason, and that the customer was told."""
    order_id = platform.place(payment_method="tok_declined")
    assert platform.end(order_id)["status"] == "refused"
    until_tree(receiver, trace_id(platform, order_id), DECLINED)


def test_out_of_stock(platform: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that is out of stock shows the refusal, and the refund that follows."""
    order_id = platform.place(items=SOLD_OUT)
    assert platform.end(order_id)["status"] == "refused"
    until_tree(receiver, trace_id(platform, order_id), OUT_OF_STOCK)


def test_cancelled_in_payment(platform: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that is cancelled in its payment shows who asked, the step called off, and its undo."""
    order_id = cancelled_in_payment(platform)
    assert platform.end(order_id)["status"] == "cancelled"
    until_tree(receiver, trace_id(platform, order_id), CANCELLED_IN_PAYMENT)


def test_cancelled_in_inventory(platform: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that is cancelled while items are reserved shows both undos, newest first."""
    with write_locked(platform, "inventory"):
        order_id = platform.place()
        until_begun(platform, order_id, "reserve_items")
        assert cancel(platform, order_id).status_code == 202
        eventually(lambda: "release_items" in history(platform, order_id))
    assert platform.end(order_id)["status"] == "cancelled"
    until_tree(receiver, trace_id(platform, order_id), CANCELLED_IN_INVENTORY)


def test_cancelled_in_shipping(platform: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that is cancelled at the carrier shows all three undos, newest first."""
    order_id = platform.place(postal_code="SIM-SLOW")
    until_begun(platform, order_id, "ship_order")
    assert cancel(platform, order_id).status_code == 202
    assert platform.end(order_id)["status"] == "cancelled"
    until_tree(receiver, trace_id(platform, order_id), CANCELLED_IN_SHIPPING)


def test_cancellation_is_linked_both_ways(platform: RunningPlatform, receiver: Receiver) -> None:
    """The cancellation stands in the order's trace and links to the request that asked for it, which links back."""
    order_id = cancelled_in_payment(platform)
    traced = trace_id(platform, order_id)
    asked = until_span(receiver, traced, names.CANCEL_WORKFLOW)
    [(request_trace, request_id)] = asked.links
    assert request_trace != traced
    request = until_span(receiver, request_trace, "POST /orders/{order_id}/cancel")
    assert (request.span_id, request.kind, request.attributes[names.ORDER_ID]) == (request_id, "SERVER", order_id)
    assert request.links == ((traced, until_span(receiver, traced, names.ORDER).span_id),)
    platform.end(order_id)


def test_payment_worker_killed(platform: RunningPlatform, receiver: Receiver) -> None:
    """An attempt whose worker was killed leaves its wait; the next one is attempt 2, and nothing lacks its parent."""
    order_id = platform.place(payment_method="tok_slow_answer")
    traced = trace_id(platform, order_id)
    until_charged(platform, order_id)
    until_span(receiver, traced, "WaitActivity:take_payment")
    kill(platform.pid("payment"))
    assert platform.end(order_id)["status"] == "completed"
    until_tree(receiver, traced, PAYMENT_KILLED)


def test_shipping_worker_killed(platform: RunningPlatform, receiver: Receiver) -> None:
    """The same in shipping, where it shows that the carrier was asked again and sent no second parcel."""
    order_id = platform.place(postal_code="SIM-SLOW-ANSWER")
    traced = trace_id(platform, order_id)
    until_parcel_left(platform, order_id)
    until_span(receiver, traced, "WaitActivity:ship_order")
    kill(platform.pid("shipping"))
    assert platform.end(order_id)["status"] == "completed"
    until_tree(receiver, traced, SHIPPING_KILLED)


def test_retried(platform: RunningPlatform, receiver: Receiver) -> None:
    """A step that is tried three times has three waits and three attempts, of which two are errors."""
    order_id = platform.place(payment_method="tok_flaky")
    assert platform.end(order_id)["status"] == "completed"
    traced = trace_id(platform, order_id)
    until_tree(receiver, traced, PAYMENT_RETRIED)
    waits = [span for span in receiver.trace(traced) if span.name == "WaitActivity:take_payment"]
    backed_off = sorted(waits, key=lambda span: span.start_nanos)
    # A wait is time in the queue, and the back-off before it is not: 1 s, then 2 s.
    assert backed_off[1].start_nanos - backed_off[0].end_nanos >= 1e9
    assert backed_off[2].start_nanos - backed_off[1].end_nanos >= 2e9


def test_stuck_then_completed(platform: RunningPlatform, receiver: Receiver) -> None:
    """The trace of a stuck order shows what it waits for, and later how long it did."""
    with stopped(platform, "shipping"):
        order_id = platform.place()
        traced = trace_id(platform, order_id)
        until_tree(receiver, traced, STUCK_IN_SHIPPING)
        stuck = time.monotonic()
        # Longer than any batch of spans waits: what is missing now will not come.
        eventually(receiver.quiet_seconds, is_it=lambda seconds: seconds > 3)
        until_tree(receiver, traced, STUCK_IN_SHIPPING)
        stuck_seconds = time.monotonic() - stuck
    assert platform.end(order_id)["status"] == "completed"
    until_tree(receiver, traced, COMPLETED)
    wait = until_span(receiver, traced, "WaitActivity:ship_order")
    assert (wait.end_nanos - wait.start_nanos) / 1e9 >= stuck_seconds


def test_order_worker_restarted(platform: RunningPlatform, receiver: Receiver) -> None:
    """An order that outlives its worker twice, once stopped and once killed, has the trace of any other."""
    with stopped(platform, "shipping"):
        order_id = platform.place()
        traced = trace_id(platform, order_id)
        until_tree(receiver, traced, STUCK_IN_SHIPPING)
        with stopped(platform, "order"):
            pass
        pid = platform.pid("order")
        kill(pid)
        eventually(lambda: platform.status()["order"]["pid"], is_it=lambda it: it not in (None, pid))
    assert platform.end(order_id)["status"] == "completed"
    until_tree(receiver, traced, COMPLETED)


def test_request_that_waits(platform: RunningPlatform, receiver: Receiver) -> None:
    """While a request waits for its stuck order the order's spans are there, below a root that is there as well."""
    customer = f"c-{uuid.uuid4().hex[:8]}"
    with ThreadPoolExecutor(1) as pool, stopped(platform, "shipping"):
        answer = pool.submit(platform.http.post, "/orders?wait=60", json=an_order(customer_id=customer))
        orders = eventually(lambda: platform.http.get(f"/orders?customer_id={customer}").json()["orders"])
        traced = trace_id(platform, orders[0]["order_id"])
        until_span(receiver, traced, "StartActivity:ship_order")
        until_span(receiver, traced, "RunActivity:reserve_items")
        eventually(lambda: receiver.trace(traced), is_it=lambda spans: not lacking_parent(spans))
        assert not answer.done()
        assert not [span for span in receiver.trace(traced) if span.kind == "SERVER"]
    assert answer.result().json()["status"] == "completed"
    until_tree(receiver, traced, COMPLETED)


def test_caller_that_traces(platform: RunningPlatform, receiver: Receiver) -> None:
    """An order belongs to its caller's trace, and the answer names the trace in header and body."""
    traced = secrets.token_hex(16)
    headers = {"traceparent": f"00-{traced}-{CALLER}-01"}
    response = platform.http.post("/orders?wait=60", json=an_order(), headers=headers)
    assert response.json()["status"] == "completed", response.text
    assert response.json()["trace_id"] == traced
    assert response.headers["traceresponse"].split("-")[1] == traced
    until_tree(receiver, traced, COMPLETED, CALLER)
    assert until_span(receiver, traced, names.ORDER).parent_id == CALLER


def test_answer_names_the_trace(platform: RunningPlatform, receiver: Receiver) -> None:
    """Also the order of a caller that does not trace has a trace, which the answer names."""
    response = platform.http.post("/orders", json=an_order())
    traced = response.json()["trace_id"]
    assert response.headers["traceresponse"].split("-")[1] == traced
    platform.end(response.json()["order_id"])
    until_tree(receiver, traced, COMPLETED)


def test_repeated_request(platform: RunningPlatform, receiver: Receiver) -> None:
    """A repeated request leaves the order's trace as it is; its own trace links there."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = platform.http.post("/orders?wait=60", json=an_order(), headers=headers)
    again = platform.http.post("/orders", json=an_order(), headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    traced = first.json()["trace_id"]
    assert again.json()["trace_id"] == traced
    own = again.headers["traceresponse"].split("-")[1]
    assert own != traced
    until_tree(receiver, own, NOT_PLACED_AGAIN)
    until_tree(receiver, traced, COMPLETED)
    links = until_span(receiver, own, "POST /orders").links
    assert links == ((traced, until_span(receiver, traced, names.ORDER).span_id),)


# What holds for every span that this session has received.


@pytest.fixture
def everything(platform: RunningPlatform, receiver: Receiver) -> list[Span]:
    """All spans of the session, among them an undone and a completed order, once no more come."""
    for order_id in (cancelled_in_payment(platform), platform.place()):
        platform.end(order_id)
    eventually(receiver.quiet_seconds, 60, is_it=lambda seconds: seconds > 4)
    return receiver.spans()


def orders(spans: list[Span]) -> dict[str, list[Span]]:
    """The spans of each order's trace, by the order's id."""
    placed = {span.trace_id: span.attributes[names.ORDER_ID] for span in spans if span.name == names.ORDER}
    return {order_id: [span for span in spans if span.trace_id == traced] for traced, order_id in placed.items()}


def test_every_parent_is_there(everything: list[Span]) -> None:
    """No span lacks its parent, whatever happened to the processes; only a caller's own span is elsewhere."""
    assert not lacking_parent(everything, callers=frozenset({CALLER}))


def test_no_span_twice(everything: list[Span]) -> None:
    """No span is sent twice, whatever is replayed, retried or restarted."""
    ids = Counter((span.trace_id, span.span_id) for span in everything)
    assert [f"{span.service}: {span.name}" for span in everything if ids[span.trace_id, span.span_id] > 1] == []


def test_parents_come_first(everything: list[Span]) -> None:
    """No span arrives before its parent of the same process, and few before one of another: that count is printed."""
    known = {(span.trace_id, span.span_id): span for span in everything}
    pairs = [(known[key], span) for span in everything if (key := (span.trace_id, span.parent_id)) in known]
    early = [(parent, child) for parent, child in pairs if child.arrival < parent.arrival]
    across = Counter(f"{child.name} before {parent.name}" for parent, child in early if parent.service != child.service)
    told = sum(parent.service != child.service for parent, child in pairs)
    print(f"{across.total()} of {told} spans arrived before their parent of another process: {across}")
    assert [f"{child.name} before {parent.name}" for parent, child in early if parent.service == child.service] == []


def test_every_span_names_its_order(everything: list[Span]) -> None:
    """Every span in an order's trace bears the order's id."""
    for order_id, spans in orders(everything).items():
        assert {span.attributes.get(names.ORDER_ID) for span in spans} == {order_id}


def test_every_activity_names_its_step(everything: list[Span]) -> None:
    """Every span of an activity names its queue and its step, and those of an attempt its number."""
    steps = {name: step.name for step in STEPS.values() for name in (step.activity, step.undo)}
    queues = {**steps, TELL_CUSTOMER: "notification", HOLD_ACTIVITY: "order"}
    seen = set()
    for span in everything:
        kind, _, activity = span.name.partition(":")
        if kind not in (names.START_ACTIVITY, names.WAIT_ACTIVITY, names.RUN_ACTIVITY):
            continue
        seen.add(kind)
        assert span.attributes.get(names.TASK_QUEUE) == task_queue(queues[activity]), span
        assert span.attributes.get(names.STEP) == steps.get(activity), span
        assert kind == names.START_ACTIVITY or span.attributes[names.ATTEMPT] >= 1, span
    assert len(seen) == 3


def test_lengths_are_true(platform: RunningPlatform, everything: list[Span]) -> None:
    """No span ends before it begins, and that of a workflow is as long as its order took."""
    assert not [span for span in everything if span.end_nanos < span.start_nanos]
    runs = [span for span in everything if span.name.startswith(names.RUN_WORKFLOW)]
    known = {order["order_id"] for order in platform.http.get("/orders?limit=100").json()["orders"]}
    compared = [run for run in runs if run.attributes[names.ORDER_ID] in known]
    assert compared
    for run in compared:
        order = platform.order(run.attributes[names.ORDER_ID])
        assert run.start_nanos / 1e9 == pytest.approx(seconds(order["received_at"]), abs=1)
        assert run.end_nanos / 1e9 == pytest.approx(seconds(order["ended_at"]), abs=1)


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
