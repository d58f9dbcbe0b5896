"""Each part is killed under load and started again: no order or log line is lost or doubled, and alerts are true."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.faults.checks import check_completed_once
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
        self.surprises: list[object] = []
        """Answers that are neither 202 nor a 5xx that says what is amiss."""

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
                if answer.status_code != 503 or answer.headers["content-type"] != "application/problem+json":
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
    eventually(stack.firing, 120, is_it=lambda it: it <= {("LogLinesRefused", "log-shipper")})
    told_before = len(stack.hook.alerts())
    load = Load(stack)
    takes_orders = part not in ("temporal", "postgres")
    with load.running():
        eventually(lambda: len(load.accepted), 60, is_it=lambda count: count >= 3)
        stack.kill(part)
        if takes_orders:
            before = len(load.accepted)
            eventually(lambda: len(load.accepted), 60, is_it=lambda count: count >= before + MEANWHILE)
        else:
            eventually(lambda: stack.http.get("/readyz").status_code, 60, is_it=lambda status: status == 503)
        stack.start(part)
        before = len(load.accepted)
        eventually(lambda: len(load.accepted), 120, is_it=lambda count: count >= before + 3)
    assert load.surprises == []
    for order_id in load.accepted.values():
        check_completed_once(stack, order_id, 120)
    check_no_other_order(stack, set(load.accepted.values()))
    stack.until_all_is_stored()
    told = {name for status, name, _ in stack.hook.alerts()[told_before:] if status == "firing"}
    assert told <= TRUE_OF[part]


def check_no_other_order(stack: Stack, accepted: set[str]) -> None:
    """Of the orders that began since the first of these, none is charged that was not accepted."""
    first = min(accepted)
    found = stack.rows("payment", "SELECT order_id FROM effects WHERE order_id >= ?", first)
    assert {order_id for (order_id,) in found} == accepted
