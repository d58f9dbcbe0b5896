"""Orders over real HTTP against a real Temporal server: placed once, found again, listed, and told when it is gone."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.auth import digest
from api.problems import ProblemDetails
from api.requests import EXAMPLE_ORDER, PlaceOrder
from api.responses import OrderAccepted, OrderHistory, OrderPage, OrderView
from contracts.orders import workflow_id
from contracts.registry import STEPS
from contracts.steps import Receipt, StepInput
from tests.support.eventually import eventually_async
from tests.support.http_api import served
from tests.support.platform import an_order
from workflow.hold import hold_step
from workflow.order import OrderWorkflow

CALLS = {
    ("POST", "/orders"),
    ("GET", "/orders"),
    ("GET", "/orders/{order_id}"),
    ("POST", "/orders/{order_id}/cancel"),
    ("GET", "/orders/{order_id}/history"),
    ("GET", "/healthz"),
    ("GET", "/queues"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
}


@pytest.fixture(scope="module")
async def api(temporal: WorkflowEnvironment) -> AsyncIterator[httpx.AsyncClient]:
    async with served(temporal.client) as http:
        yield http


@pytest.fixture(scope="module", params=["refuses", "is silent"])
async def unreachable(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """The API of a Temporal whose port refuses connections, or takes them and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if request.param == "refuses":
            listening.close()
        client = await Client.connect(f"127.0.0.1:{port}", lazy=True, data_converter=pydantic_data_converter)
        async with served(client) as http:
            yield http


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": f"test-{uuid.uuid4().hex}"}


async def place(api: httpx.AsyncClient, **changes: Any) -> str:
    response = await api.post("/orders", json=an_order(**changes))
    assert response.status_code == 202, response.text
    return str(response.json()["order_id"])


async def test_an_order_is_accepted_and_can_be_found(api: httpx.AsyncClient, temporal: WorkflowEnvironment) -> None:
    """An accepted order has an id that sorts by time, its workflow's id, and a Location that shows it."""
    before = await place(api)
    response = await api.post("/orders", json=an_order())
    accepted = response.json()
    order_id = accepted["order_id"]
    assert response.status_code == 202
    assert accepted == {
        "order_id": order_id,
        "workflow_id": f"order-{order_id}",
        "status": "received",
        "trace_id": None,  # Nothing is traced here.
    }
    assert uuid.UUID(order_id).version == 7
    assert order_id > before
    assert response.headers["location"] == f"/orders/{order_id}"

    shown = (await api.get(response.headers["location"])).json()
    assert (shown["order_id"], shown["workflow_id"]) == (order_id, f"order-{order_id}")
    assert (shown["status"], shown["customer_id"]) == ("received", EXAMPLE_ORDER["customer_id"])
    assert (shown["amount_minor"], shown["currency"]) == (2500, "EUR")
    assert (shown["as_of"], shown["steps"], shown["ended_at"]) == ("last_known", [], None)
    assert EXAMPLE_ORDER["email"] not in json.dumps(shown)
    history = (await api.get(f"/orders/{order_id}/history")).json()
    assert history == {"order_id": order_id, "workflow_id": f"order-{order_id}", "steps": []}


async def test_waiting_for_an_end_that_does_not_come(api: httpx.AsyncClient) -> None:
    """A client that waits for the end of an order gets the acceptance when the time is up."""
    response = await api.post("/orders?wait=1", json=an_order())
    assert response.status_code == 202
    assert response.json()["status"] == "received"


async def test_nothing_personal_is_searchable(api: httpx.AsyncClient, temporal: WorkflowEnvironment) -> None:
    """What Temporal indexes of an order, or shows in its lists, holds no personal data and no payment token."""
    order_id = await place(api)
    description = await temporal.client.get_workflow_handle(workflow_id(order_id)).describe()
    raw = description.raw_info
    indexed = f"{raw.search_attributes} {raw.memo} {description.static_summary} {raw.execution}"
    for secret in ("Ada", "Lovelace", "ada@example.com", "St James", "SW1Y", "tok_visa"):
        assert secret not in indexed
    assert EXAMPLE_ORDER["customer_id"] in indexed


async def test_the_same_key_and_body_is_the_same_order(api: httpx.AsyncClient) -> None:
    """A repeated request gets the first answer again, marked as a replay, however its JSON is written."""
    key = a_key()
    first = await api.post("/orders", json=EXAMPLE_ORDER, headers=key)
    assert first.status_code == 202
    assert "idempotent-replayed" not in first.headers
    turned_round = json.dumps(dict(reversed(EXAMPLE_ORDER.items())), indent=3)
    for body in (json.dumps(EXAMPLE_ORDER), turned_round):
        again = await api.post("/orders", content=body, headers=key | {"content-type": "application/json"})
        assert again.status_code == 202
        assert again.content == first.content
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]


async def test_a_crowd_with_one_key_places_one_order(api: httpx.AsyncClient) -> None:
    """Of twenty requests at once with one key exactly one places the order, and all are told its id."""
    key = a_key()
    answers = await asyncio.gather(*(api.post("/orders", json=EXAMPLE_ORDER, headers=key) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


@pytest.mark.parametrize(
    "other",
    [
        an_order(currency="USD"),
        an_order(items=[dict(EXAMPLE_ORDER["items"][0], quantity=3)]),
        an_order(postal_code="SW1Y 4JX"),
    ],
)
async def test_the_same_key_with_another_body_is_an_error(api: httpx.AsyncClient, other: dict[str, Any]) -> None:
    """A key that was used for another order is refused, and the first order stays as it was."""
    key = a_key()
    first = await api.post("/orders", json=EXAMPLE_ORDER, headers=key)
    refused = await api.post("/orders", json=other, headers=key)
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:orderflow:problem:idempotency-key-reused"
    again = await api.post("/orders", json=EXAMPLE_ORDER, headers=key)
    assert again.content == first.content


async def test_a_refused_request_does_not_use_its_key_up(api: httpx.AsyncClient) -> None:
    """Nothing is kept of a request that was not valid: its key can be used for the right one."""
    key = a_key()
    assert (await api.post("/orders", json={}, headers=key)).status_code == 422
    response = await api.post("/orders", json=EXAMPLE_ORDER, headers=key)
    assert response.status_code == 202
    assert "idempotent-replayed" not in response.headers


async def test_without_a_key_each_request_is_an_order(api: httpx.AsyncClient) -> None:
    """The same body without a key is another order each time; a key of full length is a key."""
    assert await place(api) != await place(api)
    longest = {"Idempotency-Key": uuid.uuid4().hex.ljust(255, "~")}
    assert (await api.post("/orders", json=EXAMPLE_ORDER, headers=longest)).status_code == 202


async def test_pages_show_each_order_once(api: httpx.AsyncClient) -> None:
    """Following the cursors walks all orders of a customer exactly once, whatever the size of a page."""
    customer = f"c-{uuid.uuid4().hex}"
    placed = {await place(api, customer_id=customer) for _ in range(7)}

    async def all_of(limit: int) -> list[str]:
        found: list[str] = []
        query: dict[str, Any] = {"customer_id": customer, "limit": limit}
        while True:
            response = await api.get("/orders", params=query)
            assert response.status_code == 200, response.text
            page = response.json()
            assert len(page["orders"]) <= limit
            found += [order["order_id"] for order in page["orders"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    await eventually_async(lambda: all_of(50), is_it=lambda found: set(found) == placed)
    for limit in (1, 2, 3, 7):
        walked = await all_of(limit)
        assert sorted(walked) == sorted(placed)

    orders = (await api.get("/orders", params={"customer_id": customer, "status": "received"})).json()["orders"]
    assert {order["order_id"] for order in orders} == placed
    assert {(order["currency"], order["amount_minor"], order["status"]) for order in orders} == {
        ("EUR", 2500, "received")
    }
    assert (await api.get("/orders", params={"customer_id": customer, "status": "completed"})).json()["orders"] == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic b2s="}])
async def test_without_a_key_nobody_gets_in(temporal: WorkflowEnvironment, headers: dict[str, str]) -> None:
    """With keys set, every call about orders needs one and says how to give it; health needs none."""
    async with served(temporal.client, {"shop": digest("right"), "other": digest("other")}) as api:
        some_id = uuid.uuid4()
        for method, url in CALLS:
            response = await api.request(method, url.format(order_id=some_id), headers=headers)
            if url in {"/healthz", "/readyz"}:
                assert response.status_code == 200
            else:
                assert response.status_code == 401, (method, url)
                assert response.headers["www-authenticate"] == "Bearer"
                assert response.headers["content-type"] == "application/problem+json"
                assert response.json()["type"] == "urn:orderflow:problem:unauthorized"


@pytest.mark.parametrize("key", ["right", "other"])
async def test_each_key_gets_in(temporal: WorkflowEnvironment, key: str) -> None:
    """Each of the keys passes."""
    async with served(temporal.client, {"shop": digest("right"), "other": digest("other")}) as api:
        headers = {"Authorization": f"Bearer {key}"}
        assert (await api.post("/orders", json=EXAMPLE_ORDER, headers=headers)).status_code == 202
        assert (await api.get("/orders", headers=headers)).status_code == 200


async def test_health(api: httpx.AsyncClient) -> None:
    """With Temporal there, the API says that it lives and that it can take orders."""
    for url in ("/healthz", "/readyz"):
        response = await api.get(url)
        assert (response.status_code, response.json()["status"]) == (200, "ok")


async def test_without_temporal_every_call_says_so_soon(unreachable: httpx.AsyncClient) -> None:
    """While Temporal can't be reached, each call answers within five seconds that it should be tried again."""

    async def call(method: str, url: str) -> None:
        sent = EXAMPLE_ORDER if (method, url) == ("POST", "/orders") else None
        response = await unreachable.request(method, url.format(order_id=uuid.uuid4()), json=sent)
        assert response.status_code == 503, (method, url)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"] == "urn:orderflow:problem:temporal-unreachable"
        assert int(response.headers["retry-after"]) > 0

    async with asyncio.timeout(5):
        await asyncio.gather(*(call(method, url) for method, url in CALLS if url.startswith("/orders")))


async def test_without_temporal_the_api_lives_and_is_not_ready(unreachable: httpx.AsyncClient) -> None:
    """While Temporal can't be reached, the process is alive, and it says soon why it can take no orders."""
    assert (await unreachable.get("/healthz")).status_code == 200
    async with asyncio.timeout(5):
        response = await unreachable.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unready"
    assert any("Temporal" in why for why in response.json()["problems"])


async def test_an_order_whose_workflow_was_terminated_needs_attention(
    api: httpx.AsyncClient, temporal: WorkflowEnvironment
) -> None:
    """An order that an operator ended past its workflow is shown and listed as one that a person has to look at."""
    customer = f"c-{uuid.uuid4().hex}"
    order_id = await place(api, customer_id=customer)
    await temporal.client.get_workflow_handle(workflow_id(order_id)).terminate()
    shown = (await api.get(f"/orders/{order_id}")).json()
    assert shown["status"] == "needs_attention"
    assert shown["reason"]["code"] == "workflow_terminated"
    assert shown["ended_at"] is not None
    assert not shown["cancellable"]

    async def listed() -> list[str]:
        orders = (await api.get("/orders", params={"customer_id": customer})).json()["orders"]
        return [str(order["status"]) for order in orders]

    assert await eventually_async(listed, is_it=lambda found: found == ["needs_attention"])
    refused = await api.post(f"/orders/{order_id}/cancel")
    assert refused.status_code == 409
    assert refused.json()["order_status"] == "needs_attention"


def _done(name: str) -> Callable[..., Any]:
    @activity.defn(name=name)
    async def done(_: StepInput) -> Receipt:
        return Receipt(reference=f"ref-{name}")

    return done


async def test_a_parcel_that_has_left_is_known_without_an_order_worker(
    api: httpx.AsyncClient, temporal: WorkflowEnvironment
) -> None:
    """While no order worker answers, an order still shows its steps, and one whose parcel left can't be cancelled."""
    order_id = await place(api)
    workers = [
        Worker(
            temporal.client,
            task_queue="order",
            workflows=[OrderWorkflow],
            activities=[hold_step],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
        *(
            Worker(temporal.client, task_queue=step.name, activities=[_done(step.activity)])
            for step in STEPS.values()
            if step.name != "notification"
        ),
    ]

    async def steps() -> dict[str, str]:
        return {step["step"]: step["state"] for step in (await api.get(f"/orders/{order_id}")).json()["steps"]}

    shipped = {"payment": "done", "inventory": "done", "shipping": "done", "notification": "running"}
    running = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        await eventually_async(steps, is_it=lambda found: found == shipped)
    finally:
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*running)

    shown = (await api.get(f"/orders/{order_id}")).json()
    assert shown["as_of"] == "last_known"
    assert shown["status"] == "confirming"
    assert {step["step"]: step["state"] for step in shown["steps"]} == shipped
    assert not shown["cancellable"]
    refused = await api.post(f"/orders/{order_id}/cancel")
    assert refused.status_code == 409
    assert "left" in refused.json()["detail"]
    history = (await api.get(f"/orders/{order_id}/history")).json()["steps"]
    assert [(step["step"], step["state"]) for step in history] == [
        ("payment", "completed"),
        ("inventory", "completed"),
        ("shipping", "completed"),
        ("notification", "scheduled"),
    ]
    assert all(step["waited_seconds"] >= 0 for step in history[:3])
    await temporal.client.get_workflow_handle(workflow_id(order_id)).terminate()


@pytest.fixture(scope="module")
async def document(api: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get("/openapi.json")).json()
    return found


def examples(document: dict[str, Any], content: dict[str, Any]) -> list[Any]:
    """The examples of a content, its own or its schema's."""
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    own = [content["example"]] if "example" in content else []
    named = [example["value"] for example in content.get("examples", {}).values()]
    return [*own, *named, *schema.get("examples", [])]


async def test_the_document_has_every_call_and_its_errors(document: dict[str, Any]) -> None:
    """The OpenAPI document describes every call, with the errors that it can answer."""
    described = {(method.upper(), path) for path, calls in document["paths"].items() for method in calls}
    assert described == CALLS
    for method, path in CALLS:
        responses = set(document["paths"][path][method.lower()]["responses"])
        if path.startswith("/orders"):
            assert {"401", "422", "503"} <= responses
        if "{order_id}" in path:
            assert "404" in responses
    assert {"400", "413", "415"} <= set(document["paths"]["/orders"]["post"]["responses"])
    assert "409" in document["paths"]["/orders/{order_id}/cancel"]["post"]["responses"]


async def test_every_error_has_an_example(document: dict[str, Any]) -> None:
    """Each error that is documented has an example that is such a problem, with that status."""
    seen = 0
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            for status, response in call["responses"].items():
                if int(status) < 400 or not path.startswith("/orders"):
                    continue
                shown = examples(document, response["content"]["application/problem+json"])
                assert shown, (method, path, status)
                for example in shown:
                    assert ProblemDetails.model_validate(example).status == int(status)
                seen += 1
    assert seen > 20


async def test_every_call_has_an_example(document: dict[str, Any]) -> None:
    """Each call about orders has an example of what is sent and of what is answered, and the examples are right."""
    sent = document["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]
    for example in examples(document, sent):
        PlaceOrder.model_validate(example)
    assert examples(document, sent)
    answers: dict[tuple[str, str, str], type[BaseModel]] = {
        ("post", "/orders", "202"): OrderAccepted,
        ("post", "/orders", "200"): OrderView,
        ("get", "/orders", "200"): OrderPage,
        ("get", "/orders/{order_id}", "200"): OrderView,
        ("post", "/orders/{order_id}/cancel", "202"): OrderView,
        ("get", "/orders/{order_id}/history", "200"): OrderHistory,
    }
    lacking = []
    for (method, path, status), model in answers.items():
        shown = examples(document, document["paths"][path][method]["responses"][status]["content"]["application/json"])
        lacking += [] if shown else [f"{method} {path} {status}"]
        for example in shown:
            model.model_validate(example)
    assert lacking == []
