"""Each part is killed under load and started again: no order or log line is lost or doubled, and alerts are true."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from contracts.registry import STEPS
from tests.support.eventually import eventually
from tests.support.platform import an_order
from tests.support.stack import Stack

MEANWHILE = 8
"""Orders that are asked for while the part is away."""
# What may be told of each one's absence, and is true then; where a part is not named, nothing may.
TRUE_OF = {
    "temporal": {"TemporalUnreachable", "ApiErrorRateHigh"},
    "postgres": {"TemporalUnreachable", "ApiErrorRateHigh", "ApiLatencyHigh"},
    "rsyslog": {"LogShipperGone"},
    "elasticsearch": {"LogShippingStuck"},
    "jaeger": {"SpansDropped"},
    "prometheus": set(),
}


class Load:
    """Asks for an order every half a second, each until it is accepted, under a key of its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.accepted: dict[str, str] = {}
        """Order id by key."""
        self.refused = 0
        """Answers of 503, as a problem: to be asked again."""
        self.surprises: list[object] = []
        """All other answers."""

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            self._place(str(uuid.uuid4()))

    def _place(self, key: str) -> None:
        for _ in range(600):
            try:
                answer = self._stack.http.post("/orders", json=an_order(), headers={"Idempotency-Key": key}, timeout=15)
            except httpx.TransportError as error:
                self.surprises.append(error)
            else:
                if answer.status_code == 202:
                    self.accepted[key] = answer.json()["order_id"]
                    return
                if answer.status_code == 503 and answer.headers["content-type"] == "application/problem+json":
                    self.refused += 1
                else:
                    self.surprises.append((answer.status_code, answer.text))
            if self._ended.wait(0.5):
                # Asked for, and never accepted: the customer knows that there is no order yet.
                return

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join(60)


@pytest.mark.parametrize("part", ["elasticsearch", "rsyslog", "jaeger", "prometheus", "temporal", "postgres"])
def test_killed_under_load(stack: Stack, part: str) -> None:
    """Orders go on, or are refused with a 503 and can be repeated; in the end each has had its effects once, every log
    line is stored once, and nobody was told of a queue whose worker lived."""
    stack.require(part)
    # What tells of the last quarter of an hour may still be there from the test before.
    stack.until_quiet()
    lingering = stack.firing()
    told_before, books_before = len(stack.hook.alerts()), books(stack)
    load = Load(stack)
    takes_orders = part not in stack.refuses_orders_without
    with load.running():
        eventually(lambda: len(load.accepted), 60, is_it=lambda count: count >= 3)
        stack.kill(part)
        if takes_orders:
            before = len(load.accepted)
            eventually(lambda: len(load.accepted), 60, is_it=lambda count: count >= before + MEANWHILE)
        else:
            eventually(lambda: load.refused, 60)
            eventually(lambda: stack.http.get("/readyz").status_code, 60, is_it=lambda status: status == 503)
        stack.start(part)
        before = len(load.accepted)
        eventually(lambda: len(load.accepted), 120, is_it=lambda count: count >= before + 3)
    assert load.surprises == []
    check_all_once(stack, set(load.accepted.values()), books_before)
    stack.until_all_is_stored()
    told = {name for status, name, _ in stack.hook.alerts()[told_before:] if status == "firing"}
    assert told <= TRUE_OF[part] | lingering


def books(stack: Stack) -> dict[str, set[tuple[Any, ...]]]:
    """What the steps' ledgers and the outside's own books have of every order."""
    charges = "SELECT key, amount_minor, state FROM simulated_charges"
    parcels = "SELECT key, state FROM simulated_parcels"
    found = {step: stack.rows(step, "SELECT order_id, state FROM effects") for step in STEPS}
    found |= {"charges": stack.rows("payment", charges), "parcels": stack.rows("shipping", parcels)}
    # Keys are unique in each of them, so that a set loses nothing.
    return {name: set(rows) for name, rows in found.items()}


def check_all_once(stack: Stack, accepted: set[str], before: dict[str, set[tuple[Any, ...]]]) -> None:
    """Each of these orders completes, having had each of its effects once; no other order came to be since `before`."""
    amounts = {order_id: completed(stack, order_id)["amount_minor"] for order_id in accepted}
    since = {name: rows - before[name] for name, rows in books(stack).items()}
    assert {step: since[step] for step in STEPS} == {step: {(it, "done") for it in accepted} for step in STEPS}
    assert since["charges"] == {(f"{it}:payment", amounts[it], "charged") for it in accepted}
    assert since["parcels"] == {(f"{it}:shipping", "left") for it in accepted}


def completed(stack: Stack, order_id: str) -> dict[str, Any]:
    order = stack.end(order_id, 120)
    assert order["status"] == "completed", order
    return order
