"""What our saved objects ask for, asked of the Elasticsearch that real orders have filled."""

from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.kibana import aggregations, panel_queries, referenced_fields, saved_queries
from tests.support.stack import LOGS, Stack

# Told of what none of these orders met: a notification that a receiver did not take.
NOT_MET = {"orderflow.alert", "orderflow.receiver"}
SOLD_OUT = [{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 4900}]


@pytest.fixture(scope="module")
def orders(stack: Stack) -> dict[str, str]:
    """Orders with every kind of end that the saved searches tell apart: by id, the status."""
    placed = [stack.place(), stack.place(items=SOLD_OUT), stack.place(payment_method="tok_declined")]
    # Technical faults; and an undo that fails.
    placed.append(stack.place(payment_method="tok_flaky"))
    placed.append(stack.place(payment_method="tok_refund_fails", items=SOLD_OUT))
    ended = {order_id: stack.end(order_id, 120)["status"] for order_id in placed}
    assert set(ended.values()) == {"completed", "refused", "needs_attention"}
    stack.stop("shipping")
    stack.hook.alert("firing", "TaskQueueAbsent", 90, task_queue="shipping")
    stack.start("shipping")
    stack.until_all_is_stored()
    return ended


def search(stack: Stack, query: str, **more: Any) -> dict[str, Any]:
    body = {"query": {"query_string": {"query": query}}, "size": 500, **more}
    found: dict[str, Any] = stack.elasticsearch.post(f"/{LOGS}/_search", json=body).raise_for_status().json()
    return found


def test_each_field_is_in_the_mapping(stack: Stack, orders: dict[str, str]) -> None:
    """Each field that a saved object names is one that the data stream has, and that lines have had a value for."""
    fields = sorted(referenced_fields() - {"@timestamp"})
    known = (
        stack.elasticsearch.get(f"/{LOGS}/_field_caps", params={"fields": ",".join(fields)}).raise_for_status().json()
    )
    assert set(known["fields"]) >= set(fields)
    written = {field for line in stack.stored() for field in line}
    assert set(fields) - written <= NOT_MET


@pytest.mark.parametrize("title", saved_queries())
def test_each_saved_search_finds_lines(stack: Stack, orders: dict[str, str], title: str) -> None:
    """Each saved search finds lines of these orders, and not simply all lines."""
    total = len(stack.stored())
    found = eventually(lambda: search(stack, saved_queries()[title])["hits"]["hits"], 60)
    assert 0 < len(found) < total


@pytest.mark.parametrize("title", aggregations())
def test_each_chart_has_something_to_show(stack: Stack, orders: dict[str, str], title: str) -> None:
    """Each chart's aggregations run, and come to at least one bucket with its values."""
    found = search(stack, panel_queries()[title], size=0, aggs=aggregations()[title])["aggregations"]
    assert found
    for aggregation in found.values():
        assert aggregation["buckets"]
        assert all(bucket["doc_count"] for bucket in aggregation["buckets"])


def test_the_dashboard_counts_the_orders(stack: Stack, orders: dict[str, str]) -> None:
    """ "Orders by outcome" counts at least these orders, each under its own."""
    found = search(stack, panel_queries()["Orders by outcome"], size=0, aggs=aggregations()["Orders by outcome"])
    (aggregation,) = found["aggregations"].values()
    counted = {bucket["key"]: bucket["doc_count"] for bucket in aggregation["buckets"]}
    for status in set(orders.values()):
        assert counted[status] >= list(orders.values()).count(status)
