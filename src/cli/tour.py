"""The demo's tour: a few orders, each told in plain words and held against what it should become."""

import os
import shlex
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

from api.requests import EXAMPLE_ORDER
from cli.alerts import NewAlerts
from cli.order_client import ClientSettings, OrderClient
from cli.platform import PlatformSettings, Program
from cli.status import wait_until_ready
from cli.supervisor import Supervisor
from contracts.orders import ENDS
from monitor.incidents import Turn
from monitor.terminal import block
from service.settings import load

_END_SECONDS = 45.0


class Tour:
    def __init__(self, supervisor: Supervisor, shipping: Program, settings: PlatformSettings, console: Console) -> None:
        self._supervisor = supervisor
        self._shipping = shipping
        self._settings = settings
        self._console = console
        self._client = OrderClient(load(ClientSettings))
        self._as_told = True
        self._cancelled_id = ""

    def run(self) -> bool:
        """Whether every order ended as told."""
        self._completed()
        self._declined()
        self._out_of_stock()
        self._cancelled()
        self._without_shipping_worker()
        verdict = "[bold green]Every order ended as told.[/]" if self._as_told else "[bold red]Not as told.[/]"
        self._console.print(f"\n{verdict} The customers' mail is in {self._settings.data_dir}/mail/.")
        self._tell_where_to_look()
        return self._as_told

    def _tell_where_to_look(self) -> None:
        # The one that was cancelled has the most to tell.
        folder = os.environ.get("ORDERFLOW_DATA_DIR")
        prefix = f"ORDERFLOW_DATA_DIR={shlex.quote(folder)} " if folder else ""
        self._console.print(f"What the services say of one:  {prefix}.venv/bin/orderflow logs {self._cancelled_id}")
        traces = self._settings.data_dir / "traces"
        if traces.is_dir() and not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            self._console.print(f"Their spans are in {traces}/; OTEL_EXPORTER_OTLP_ENDPOINT sends them elsewhere.")

    def _completed(self) -> None:
        self._title("An order that completes: paid, reserved, shipped, confirmed")
        self._expect(self._place(), "completed", done=["payment", "inventory", "shipping", "notification"])

    def _declined(self) -> None:
        self._title("A card that is declined: nothing else is begun")
        self._expect(self._place(payment_method="tok_declined"), "refused", because="card_declined")

    def _out_of_stock(self) -> None:
        self._title("Items that are short: the payment is refunded")
        items = [{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 4900}]
        self._expect(self._place(items=items), "refused", because="out_of_stock", undone=["payment"])

    def _cancelled(self) -> None:
        self._title("An order cancelled half-way, while a slow carrier is being asked: everything is undone")
        order_id = self._cancelled_id = self._place(postal_code="SIM-SLOW")
        self._await(order_id, lambda order: order["status"] == "shipping")
        self._say("it is at the carrier; the customer cancels")
        self._client.cancel(order_id)
        self._expect(order_id, "cancelled", undone=["payment", "inventory", "shipping"])

    def _without_shipping_worker(self) -> None:
        self._title("An order whose shipping worker is not running: it waits, and the queue monitor tells")
        self._say("stopping the shipping worker (a real process)")
        alerts = NewAlerts(self._settings.data_dir / "alerts.jsonl")
        self._supervisor.stop("shipping")
        order_id = self._place()
        order = self._await(order_id, lambda order: order["status"] == "shipping")
        paid = next(step["reference"] for step in order["steps"] if step["step"] == "payment")
        self._say(f"paid ({paid}) and reserved; now it waits in the task queue `shipping`, which nobody serves")
        if not self._alerted(alerts, Turn.FIRING):
            return
        self._say("starting the shipping worker again")
        self._supervisor.start("shipping")
        wait_until_ready(self._supervisor, [self._shipping], _END_SECONDS)
        self._expect(order_id, "completed", done=["shipping", "notification"])
        self._alerted(alerts, Turn.RESOLVED)

    def _alerted(self, alerts: NewAlerts, turn: Turn) -> bool:
        """Whether the queue monitor tells so of the shipping queue; its notification is shown."""
        self._say("[dim]the queue monitor looks every two seconds …[/]")
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline:
            for notice in alerts.take():
                self._console.print(block(notice))
                if (notice.service, notice.state) == ("shipping", turn):
                    return True
            time.sleep(0.1)
        self._say(f"[red]it should have told that its alert is {turn}[/]")
        self._as_told = False
        return False

    def _place(
        self,
        *,
        items: list[dict[str, Any]] | None = None,
        payment_method: str = "tok_visa",
        postal_code: str | None = None,
    ) -> str:
        order: dict[str, Any] = EXAMPLE_ORDER | {"payment_method": payment_method}
        if items:
            order["items"] = items
        if postal_code:
            order["shipping_address"] = order["shipping_address"] | {"postal_code": postal_code}
        accepted = self._client.submit(order)
        order_id = str(accepted["order_id"])
        self._say(f"order {order_id}")
        if accepted.get("trace_id"):
            self._say(f"[dim]trace {accepted['trace_id']}[/]")
        link = f"http://127.0.0.1:{self._settings.temporal_ui_port}/namespaces/default/workflows/order-{order_id}"
        self._say(f"[dim]{link}[/]")
        return order_id

    def _await(self, order_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The order, once it is as wished or has ended or the time is up."""
        deadline = time.monotonic() + _END_SECONDS
        while True:
            order = self._client.get(order_id)
            if condition(order) or order["status"] in ENDS or time.monotonic() > deadline:
                return order
            time.sleep(0.1)

    def _expect(
        self,
        order_id: str,
        status: str,
        *,
        because: str | None = None,
        done: list[str] | None = None,
        undone: list[str] | None = None,
    ) -> None:
        order = self._await(order_id, lambda order: order["ended_at"] is not None)
        states = {step["step"]: step["state"] for step in order["steps"]}
        right = (
            order["status"] == status
            and (because is None or (order["reason"] or {}).get("code") == because)
            and all(states.get(step) == "done" for step in done or [])
            and all(states.get(step) == "undone" for step in undone or [])
        )
        told = ", ".join(f"{step} {state}" for step, state in states.items())
        mark = "[green]✓[/]" if right else "[bold red]✗[/]"
        self._say(f"{mark} [bold]{order['status']}[/]: {told}")
        if order["reason"]:
            self._say(f"  “{order['reason']['message']}”")
        if not right:
            self._say(f"[red]it should have been {status}[/]")
            self._as_told = False

    def _title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/]")

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}")
