"""Where a sampler leaves out most traces, those of orders that did not simply complete are kept."""

from collections.abc import Iterator

import pytest

from telemetry import names
from tests.faults.checks import cancel, check_completed_once, until_begun, until_parcel_left
from tests.support.eventually import eventually
from tests.support.otlp import Receiver, Span
from tests.support.platform import RunningPlatform, running_platform
from tests.telemetry.trees import lacking_parent, until_span


@pytest.fixture(scope="module")
def sampled(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform whose sampler leaves out every trace."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0",
    }
    with running_platform(tmp_path_factory.mktemp("sampled") / "data", **settings) as running:
        yield running


def kept(receiver: Receiver, traced: str) -> dict[str, Span]:
    """The order's spans by name, once no more come and the end of the order is among them."""
    until_span(receiver, traced, "RunWorkflow:OrderWorkflow")
    eventually(receiver.quiet_seconds, 60, is_it=lambda seconds: seconds > 3)
    spans = receiver.trace(traced)
    assert not lacking_parent(spans)
    assert len({span.span_id for span in spans}) == len(spans)
    return {span.name: span for span in spans}


def test_completed(sampled: RunningPlatform, receiver: Receiver) -> None:
    """Of an order that completes nothing is sent."""
    order = sampled.end(sampled.place())
    assert order["status"] == "completed"
    # The next order's trace comes, from the same processes: this one's would have come by then.
    declined = sampled.end(sampled.place(payment_method="tok_declined"))
    kept(receiver, declined["trace_id"])
    assert receiver.trace(order["trace_id"]) == []


def test_declined(sampled: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that is declined is sent, whole from its root to the refusal."""
    order = sampled.end(sampled.place(payment_method="tok_declined"))
    spans = kept(receiver, order["trace_id"])
    assert spans[names.ORDER].parent_id == ""
    assert spans["RunActivity:take_payment"].attributes[names.REASON] == "card_declined"
    assert spans["RunActivity:tell_customer"].attributes[names.OUTCOME] == "done"
    assert spans["RunWorkflow:OrderWorkflow"].attributes[names.OUTCOME] == "refused"


def test_out_of_stock(sampled: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that is out of stock is sent, with the refusal and the refund."""
    order = sampled.end(sampled.place(items=[{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 100}]))
    spans = kept(receiver, order["trace_id"])
    assert spans["RunActivity:reserve_items"].attributes[names.REASON] == "out_of_stock"
    assert spans["RunActivity:refund_payment"].attributes[names.OUTCOME] == "done"
    assert spans["RunActivity:refund_payment"].parent_id == spans["StartActivity:refund_payment"].span_id
    assert spans["refund"].parent_id == spans["RunActivity:refund_payment"].span_id


def test_cancelled(sampled: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that is cancelled is sent, with the cancellation and the undo."""
    order_id = sampled.place(payment_method="tok_slow")
    until_begun(sampled, order_id, "take_payment")
    assert cancel(sampled, order_id).status_code == 202
    order = sampled.end(order_id)
    spans = kept(receiver, order["trace_id"])
    assert spans[names.CANCEL_WORKFLOW].parent_id == spans[names.ORDER].span_id
    assert spans["RunActivity:take_payment"].attributes[names.OUTCOME] == "cancelled"
    assert spans["RunActivity:refund_payment"].attributes[names.OUTCOME] == "done"
    assert spans["RunWorkflow:OrderWorkflow"].attributes[names.OUTCOME] == "cancelled"


def test_cancelled_too_late(sampled: RunningPlatform, receiver: Receiver) -> None:
    """The trace of an order that completes all the same is sent when a cancellation was asked for."""
    order_id = sampled.place(postal_code="SIM-SLOW-ANSWER")
    until_parcel_left(sampled, order_id)
    assert cancel(sampled, order_id).status_code == 202
    order = check_completed_once(sampled, order_id)
    spans = kept(receiver, order["trace_id"])
    assert spans[names.CANCEL_WORKFLOW].parent_id == spans[names.ORDER].span_id
    assert spans["RunWorkflow:OrderWorkflow"].attributes[names.OUTCOME] == "completed"
