"""`GET /queues` over real HTTP: the queue monitor's word, or plainly none."""

import asyncio
import time

import pytest
from temporalio.testing import WorkflowEnvironment

from api.auth import digest
from contracts.queues import Queues, QueueState
from tests.integration.test_api_refusals import problem
from tests.support.http_api import served
from tests.support.monitor_http import answering, queues

SHIPPING_ORPHANED = queues(shipping=QueueState.ORPHANED)


async def test_the_monitor_s_word_is_handed_on(temporal: WorkflowEnvironment) -> None:
    """What the monitor knows of the queues comes through unchanged."""
    async with (
        answering(SHIPPING_ORPHANED.model_dump_json()) as monitor,
        served(temporal.client, monitor_url=monitor) as api,
    ):
        response = await api.get("/queues")
    assert response.status_code == 200
    assert Queues.model_validate_json(response.content) == SHIPPING_ORPHANED


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param("not JSON", "200 OK", id="no JSON"),
        pytest.param("{}", "200 OK", id="other JSON"),
        pytest.param('{"looked_at": null, "queues": [{"state": "fine"}]}', "200 OK", id="another contract"),
        pytest.param(SHIPPING_ORPHANED.model_dump_json(), "500 Internal Server Error", id="an error"),
        pytest.param(SHIPPING_ORPHANED.model_dump_json(), "302 Found", id="elsewhere"),
        pytest.param(None, "", id="silence"),
    ],
)
async def test_nonsense_from_the_monitor_is_no_answer(
    temporal: WorkflowEnvironment, body: str | None, status: str
) -> None:
    """When the monitor says nothing that can be used, the API says so soon, and nothing of any queue."""
    began = time.monotonic()
    async with answering(body, status) as monitor, served(temporal.client, monitor_url=monitor) as api:
        response = await api.get("/queues")
    assert time.monotonic() - began < 10
    found = problem(response, 503, "monitor-unreachable")
    assert "orderflow start monitor" in found["detail"]
    assert "queues" not in found


async def test_no_monitor_is_told(temporal: WorkflowEnvironment) -> None:
    """Where no monitor listens the answer is the same problem, and when to try again."""
    async with served(temporal.client) as api:
        response = await api.get("/queues")
    problem(response, 503, "monitor-unreachable")
    assert response.headers["retry-after"] == "2"


async def test_a_silent_monitor_is_in_nobody_s_way(temporal: WorkflowEnvironment) -> None:
    """While many wait for a monitor that never answers, other calls are answered at once."""
    async with answering(None) as monitor, served(temporal.client, monitor_url=monitor) as api:
        waiting = [asyncio.create_task(api.get("/queues")) for _ in range(20)]
        assert (await api.get("/orders")).status_code == 200
        assert not any(task.done() for task in waiting)
        for response in await asyncio.gather(*waiting):
            problem(response, 503, "monitor-unreachable")


async def test_a_key_is_needed_where_keys_are_set(temporal: WorkflowEnvironment) -> None:
    """The queues are shown to those who may see orders, and to nobody else."""
    async with (
        answering(SHIPPING_ORPHANED.model_dump_json()) as monitor,
        served(temporal.client, {"shop": digest("secret")}, monitor) as api,
    ):
        problem(await api.get("/queues"), 401, "unauthorized")
        response = await api.get("/queues", headers={"Authorization": "Bearer secret"})
    assert response.status_code == 200


async def test_the_call_is_documented(temporal: WorkflowEnvironment) -> None:
    """The OpenAPI document shows an answer that keeps to the contract, and the problem."""
    async with served(temporal.client) as api:
        document = (await api.get("/openapi.json")).json()
    responses = document["paths"]["/queues"]["get"]["responses"]
    Queues.model_validate(responses["200"]["content"]["application/json"]["example"])
    example = responses["503"]["content"]["application/problem+json"]["example"]
    assert example["type"] == "urn:orderflow:problem:monitor-unreachable"
    assert "401" in responses
