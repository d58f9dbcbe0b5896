"""What the `order` commands do."""

import json
from collections.abc import Callable
from typing import IO, Any

import click

from api.requests import EXAMPLE_ORDER
from cli.order_client import ApiError, ClientSettings, OrderClient
from cli.terminal import make_console, make_table
from contracts.money import readable
from contracts.orders import ENDS
from service.settings import load

console = make_console()
_STYLES = {"completed": "green", "needs_attention": "bold red", "failed": "red", "refused": "yellow"}


def read(file: IO[str]) -> object:
    try:
        return json.load(file)
    except ValueError as error:
        raise click.ClickException(f"{file.name} is not JSON: {error}") from None


def sample(sku: str, quantity: int, payment_method: str, postal_code: str) -> dict[str, Any]:
    return EXAMPLE_ORDER | {
        "items": [{"sku": sku, "quantity": quantity, "unit_price_minor": 1250}],
        "payment_method": payment_method,
        "shipping_address": EXAMPLE_ORDER["shipping_address"] | {"postal_code": postal_code},
    }


def submit(order: object, idempotency_key: str | None, wait: int, as_json: bool) -> None:
    answer = _ask(lambda client: client.submit(order, idempotency_key=idempotency_key, wait=wait))
    if as_json:
        _print_json(answer)
    elif "steps" in answer:
        _print_order(answer)
    else:
        console.print(f"accepted: order {answer['order_id']}")


def show(order_id: str, as_json: bool) -> None:
    order = _ask(lambda client: client.get(order_id))
    history = _ask(lambda client: client.history(order_id))
    if as_json:
        _print_json(order | {"history": history["steps"]})
        return
    _print_order(order)
    table = make_table("activity", "state", "attempts", "scheduled", "waited", "ended", "last failure")
    for step in history["steps"]:
        waited = step["waited_seconds"]
        table.add_row(
            step["activity"],
            step["state"],
            str(step["attempts"]),
            _clock(step["scheduled_at"]),
            f"{waited:.3f} s" if waited is not None else "",
            _clock(step["ended_at"]),
            step["failure"] or "",
        )
    console.print(table, soft_wrap=False)


def list_orders(status: str | None, customer: str | None, limit: int, as_json: bool) -> None:
    params: dict[str, str | int] = {"limit": limit}
    if status:
        params["status"] = status
    if customer:
        params["customer_id"] = customer
    page = _ask(lambda client: client.list(**params))
    if as_json:
        _print_json(page)
        return
    table = make_table("order", "status", "customer", "amount", "received")
    for order in page["orders"]:
        table.add_row(
            order["order_id"],
            _status(order),
            order["customer_id"],
            _amount(order),
            order["received_at"][5:16].replace("T", " "),
        )
    console.print(table, soft_wrap=False)
    if page["next_cursor"]:
        console.print("There are more; use --limit, or the API's cursor.", style="dim")


def cancel(order_id: str, wait: int, as_json: bool) -> None:
    answer = _ask(lambda client: client.cancel(order_id, wait=wait))
    if as_json:
        _print_json(answer)
        return
    _print_order(answer)
    if answer["status"] not in ENDS:
        console.print("The cancellation is under way; see `orderflow order show`.")


def _ask(call: Callable[[OrderClient], dict[str, Any]]) -> dict[str, Any]:
    try:
        return call(OrderClient(load(ClientSettings)))
    except ApiError as error:
        raise click.ClickException(str(error)) from None


def _print_json(answer: dict[str, Any]) -> None:
    click.echo(json.dumps(answer, indent=2))


def _print_order(order: dict[str, Any]) -> None:
    since = " (last known: no order worker answers)" if order["as_of"] == "last_known" else ""
    console.print(f"order {order['order_id']}: {_status(order)}{since}, {_amount(order)}")
    if order["reason"]:
        console.print(f"  {order['reason']['message']}")
    for step in order["steps"]:
        console.print(f"  {step['step']:<14}{step['state']:<12}{step['reference'] or ''}")


def _status(order: dict[str, Any]) -> str:
    return f"[{_STYLES.get(order['status'], 'cyan')}]{order['status']}[/]"


def _amount(order: dict[str, Any]) -> str:
    return readable(order["amount_minor"], order["currency"]) if order["currency"] else ""


def _clock(moment: str | None) -> str:
    return moment[11:19] if moment else ""
