"""What the API refuses, over real HTTP: each error is a problem that names the field, and nothing sent comes back."""

import copy
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from api.guard import MAX_BODY_BYTES
from api.requests import EXAMPLE_ORDER
from tests.support.http_api import served
from tests.support.platform import an_order

CARD = "4242424242424242"
FULL_WIDTH = "".join(chr(ord("\uff10") + int(digit)) for digit in CARD)
UNKNOWN = "01936f5e-7c1a-7d3e-9b52-3f8a6c1d2e4f"


@pytest.fixture(scope="module")
async def api(temporal: WorkflowEnvironment) -> AsyncIterator[httpx.AsyncClient]:
    async with served(temporal.client) as http:
        yield http


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem in the response, which must be one of this status and kind."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["type"] == f"urn:orderflow:problem:{kind}"
    assert found["title"]
    assert found["detail"]
    return found


def fields(response: httpx.Response) -> set[str]:
    return {error["field"] for error in problem(response, 422, "invalid-request")["errors"]}


def item(**changes: Any) -> dict[str, Any]:
    return dict(EXAMPLE_ORDER["items"][0], **changes)


def address(**changes: Any) -> dict[str, Any]:
    return {"shipping_address": EXAMPLE_ORDER["shipping_address"] | changes}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in EXAMPLE_ORDER.items() if key != name}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param({}, {f"body.{name}" for name in EXAMPLE_ORDER}, id="nothing"),
        *(pytest.param(without(name), {f"body.{name}"}, id=f"no {name}") for name in EXAMPLE_ORDER),
        *(
            pytest.param(an_order(items=[item(quantity=value)]), {"body.items.0.quantity"}, id=f"quantity {value!r}")
            for value in (0, -5, 10_001, "3", True, 1.5, None)
        ),
        *(
            pytest.param(
                an_order(items=[item(), item(unit_price_minor=value)]),
                {"body.items.1.unit_price_minor"},
                id=f"price {value!r}",
            )
            for value in (-1, 1_000_000_001, "5", 9.99)
        ),
        pytest.param(an_order(items=[]), {"body.items"}, id="no lines"),
        pytest.param(an_order(items=[item()] * 1001), {"body.items"}, id="1001 lines"),
        pytest.param(an_order(items=[item(unit_price_minor=0)]), {"body"}, id="costs nothing"),
        *(
            pytest.param(an_order(currency=value), {"body.currency"}, id=f"currency {value!r}")
            for value in ("EURO", "ZZZ", "", 978)
        ),
        *(
            pytest.param(an_order(**address(country=value)), {"body.shipping_address.country"}, id=f"country {value!r}")
            for value in ("GBR", "XX", "", 826)
        ),
        *(
            pytest.param(an_order(email=value), {"body.email"}, id=f"e-mail {value!r}")
            for value in ("ada", "ada@", "@example.com", "a b@example.com", "ada@example.com\r\nBcc: x@example.com", 5)
        ),
        pytest.param(an_order(amount=1), {"body.amount"}, id="an amount"),
        pytest.param(an_order(items=[item(total=1)]), {"body.items.0.total"}, id="an amount of a line"),
        *(
            pytest.param(
                an_order(**address(name=f"Ada{control}X")), {"body.shipping_address.name"}, id=f"control {control!r}"
            )
            for control in ("\x00", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028")
        ),
        pytest.param(an_order(**address(street="s" * 201)), {"body.shipping_address.street"}, id="a street too long"),
        pytest.param(an_order(**address(city="   ")), {"body.shipping_address.city"}, id="a blank city"),
        pytest.param(an_order(payment_method="visa"), {"body.payment_method"}, id="no token"),
        pytest.param(an_order(customer_id="Ada Lovelace"), {"body.customer_id"}, id="a name as customer id"),
        pytest.param(an_order(customer_id="c' OR 1=1 --"), {"body.customer_id"}, id="a query as customer id"),
        pytest.param([], {"body"}, id="a list"),
        pytest.param("order", {"body"}, id="a text"),
        pytest.param(None, {"body"}, id="null"),
    ],
)
async def test_a_wrong_order_names_its_field(api: httpx.AsyncClient, body: Any, named: set[str]) -> None:
    """An order that breaks a rule is refused with each field that does, by its path, and no other."""
    response = await api.post("/orders", content=json.dumps(body), headers={"content-type": "application/json"})
    assert fields(response) == named


async def test_what_is_wrong_is_not_echoed(api: httpx.AsyncClient) -> None:
    """A refused value, which may be personal data, does not come back in the answer."""
    secret = "Lovelace-secret"
    bodies = [
        an_order(email=f"{secret}@"),
        an_order(email=f"{secret}@localhost"),
        an_order(currency=secret),
        an_order(customer_id=f"{secret} "),
        an_order(**address(country=secret)),
        an_order(**address(name=f"a\n{secret}")),
        an_order(items=[item(quantity=secret)]),
        an_order(payment_method=secret),
        secret,
    ]
    for body in bodies:
        response = await api.post("/orders", json=body)
        assert response.status_code == 422
        assert secret not in response.text


@pytest.mark.parametrize("body", [b"{", b"", b"{'a': 1}", b"\xff\xfe\xfd", b"[" * 100_000, b'{"a": 1' + b"0" * 5000])
async def test_what_is_no_json_is_a_bad_request(api: httpx.AsyncClient, body: bytes) -> None:
    """A body that is not JSON, or that no program should read, is a bad request."""
    response = await api.post("/orders", content=body, headers={"content-type": "application/json"})
    if body == b"":
        assert fields(response) == {"body"}
    else:
        problem(response, 400, "malformed-json")


@pytest.mark.parametrize("body", [r'{"\ud800": 1}', r'{"a": {"\ud800": "4242424242424242"}}', r'{"email": "\ud800"}'])
async def test_text_that_can_not_be_written_is_refused(api: httpx.AsyncClient, body: str) -> None:
    """Half a character, which JSON can carry and UTF-8 can't write, is refused like any other wrong value."""
    response = await api.post("/orders", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
async def test_only_json_is_taken(api: httpx.AsyncClient, content_type: str | None) -> None:
    """A body of another type is refused, so that no web page can post an order in a visitor's name."""
    headers = {"content-type": content_type} if content_type else {}
    response = await api.post("/orders", content=json.dumps(EXAMPLE_ORDER).encode(), headers=headers)
    problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_by_other_spellings_is_taken(api: httpx.AsyncClient, content_type: str) -> None:
    """JSON is taken with parameters and in any case."""
    response = await api.post("/orders", content=json.dumps(EXAMPLE_ORDER), headers={"content-type": content_type})
    assert response.status_code == 202


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 65_536):
        yield b" " * 65_536


@pytest.mark.parametrize("known_length", [True, False])
async def test_a_body_that_is_too_large_is_refused(api: httpx.AsyncClient, known_length: bool) -> None:
    """More than a mebibyte is refused, whether the client says so beforehand or not."""
    size = MAX_BODY_BYTES + 65_536
    content = b" " * size if known_length else _chunks(size)
    response = await api.post("/orders", content=content, headers={"content-type": "application/json"})
    assert ("content-length" in response.request.headers) == known_length
    problem(response, 413, "body-too-large")


async def test_a_body_of_a_mebibyte_is_read(api: httpx.AsyncClient) -> None:
    """A body of exactly the largest size is looked at."""
    body = json.dumps(EXAMPLE_ORDER).encode().ljust(MAX_BODY_BYTES)
    response = await api.post("/orders", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 202


def _text_fields(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        if isinstance(inner, dict | list):
            yield from _text_fields(inner, (*path, key))
        elif isinstance(inner, str):
            yield (*path, key)


def _with(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    body = copy.deepcopy(EXAMPLE_ORDER) | {"shipping_address": EXAMPLE_ORDER["shipping_address"] | {"state": "x"}}
    found: Any = body
    for key in path[:-1]:
        found = found[key]
    found[path[-1]] = value
    return body


def _bodies() -> Iterator[Any]:
    for path in (*_text_fields(EXAMPLE_ORDER), ("shipping_address", "state")):
        name = ".".join(map(str, path))
        yield pytest.param(json.dumps(_with(path, CARD)), f"body.{name}", id=name)
    spellings = {
        "grouped": "4242 4242 4242 4242",
        "hyphens": "4242-4242-4242-4242",
        "in a sentence": f"my card is {CARD}, thanks",
        "full width": FULL_WIDTH,
        "after a token's beginning": f"tok_{CARD}",
        "with its expiry and code": "4242424242424242 12/27 123",
    }
    for name, text in spellings.items():
        yield pytest.param(json.dumps(an_order(payment_method=text)), "body.payment_method", id=name)
    yield pytest.param(json.dumps(an_order(customer_id=int(CARD))), "body.customer_id", id="as a number")
    yield pytest.param(json.dumps(an_order()).replace("1250", CARD), "body.items.0.unit_price_minor", id="as a price")
    yield pytest.param(
        json.dumps(an_order(extra=[{"deep": [[{"er": f" {CARD}"}]]}])), "body.extra.0.deep.0.0.er", id="nested"
    )
    yield pytest.param(json.dumps(an_order(**{CARD: "x"})), "body", id="as a key")
    yield pytest.param(json.dumps(an_order(extra={CARD: {"inner": 1}})), "body.extra", id="as a nested key")
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in CARD)
    yield pytest.param(
        json.dumps(an_order(payment_method="ESCAPED")).replace("ESCAPED", escaped), "body.payment_method", id="escaped"
    )
    yield pytest.param(
        json.dumps(an_order(payment_method="ESCAPED")).replace("ESCAPED", "\\u0034" + CARD[1:]),
        "body.payment_method",
        id="half escaped",
    )
    yield pytest.param('{"customer_id": "' + CARD + '", ', "body", id="in broken JSON")
    yield pytest.param(json.dumps(CARD), "body", id="alone")
    yield pytest.param(CARD, "body", id="alone as a number")


def no_card_in(response: httpx.Response) -> None:
    """Neither the head nor the body of the response has the digits, however they are spelt."""
    raw = b"\r\n".join(b": ".join(header) for header in response.headers.raw) + b"\r\n\r\n" + response.content
    plain = raw.decode().replace("\\u", "").translate({ord("\uff10") + digit: str(digit) for digit in range(10)})
    for separator in " -":
        plain = plain.replace(separator, "")
    assert CARD not in plain
    assert CARD[:12] not in plain


@pytest.mark.parametrize(("body", "named"), list(_bodies()))
async def test_a_card_number_in_a_body_is_refused(
    api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, body: str, named: str
) -> None:
    """A card number anywhere in a body is refused with the field named, and it is neither sent back nor logged."""
    headers = {"content-type": "application/json"}
    with caplog.at_level("DEBUG"):
        response = await api.post("/orders", content=body.encode(), headers=headers)
    found = problem(response, 422, "card-number")
    assert [error["field"] for error in found["errors"]] == [named]
    no_card_in(response)
    assert CARD not in caplog.text


@pytest.mark.parametrize(
    ("method", "url", "named"),
    [
        ("GET", f"/orders/{CARD}", "path"),
        ("GET", "/orders/4242-4242-4242-4242/history", "path"),
        ("GET", f"/orders/{quote(FULL_WIDTH)}", "path"),
        ("GET", f"/orders/{quote(quote(FULL_WIDTH))}", "path"),
        ("POST", f"/orders/{CARD}/cancel", "path"),
        ("GET", f"/{CARD}", "path"),
        ("GET", f"/orders?customer_id={CARD}", "query"),
        ("GET", "/orders?customer_id=4242+4242+4242+4242", "query"),
        ("GET", f"/orders?customer_id={quote(FULL_WIDTH)}", "query"),
        ("GET", f"/orders?status={CARD}", "query"),
        ("GET", f"/orders?{CARD}", "query"),
        ("GET", f"/orders/?cursor={CARD}", "query"),
    ],
)
async def test_a_card_number_in_a_url_is_refused(api: httpx.AsyncClient, method: str, url: str, named: str) -> None:
    """A card number in a path or a query is refused, and comes back neither in the answer nor in a redirect."""
    response = await api.request(method, url)
    found = problem(response, 422, "card-number")
    assert [error["field"] for error in found["errors"]] == [named]
    no_card_in(response)


async def test_a_card_number_as_idempotency_key_is_refused(api: httpx.AsyncClient) -> None:
    """A card number is no idempotency key either."""
    response = await api.post("/orders", json=EXAMPLE_ORDER, headers={"Idempotency-Key": f"order-{CARD}"})
    found = problem(response, 422, "card-number")
    assert found["errors"][0]["field"] == "header.Idempotency-Key"
    no_card_in(response)


async def test_a_uuid_is_never_taken_for_a_card_number(api: httpx.AsyncClient) -> None:
    """A UUID whose digits happen to pass a card's check is a fine idempotency key and a fine order id."""
    unlucky = "a72725a5-6bdc-4f00-afb5-128246526085"
    response = await api.post("/orders", json=EXAMPLE_ORDER, headers={"Idempotency-Key": unlucky})
    assert response.status_code == 202, response.text
    problem(await api.get(f"/orders/{unlucky}"), 404, "order-not-found")


@pytest.mark.parametrize(
    ("method", "url"),
    [("GET", f"/orders/{UNKNOWN}"), ("GET", f"/orders/{UNKNOWN}/history"), ("POST", f"/orders/{UNKNOWN}/cancel")],
)
async def test_an_unknown_order_is_not_found(api: httpx.AsyncClient, method: str, url: str) -> None:
    """Asking for an order that does not exist says so."""
    problem(await api.request(method, url), 404, "order-not-found")


async def test_another_workflow_is_no_order(api: httpx.AsyncClient, temporal: WorkflowEnvironment) -> None:
    """A workflow of another type that has an order's id is not shown as an order."""
    other = "01936f5e-7c1a-7d3e-9b52-000000000001"
    handle = await temporal.client.start_workflow("Other", id=f"order-{other}", task_queue="nobody")
    problem(await api.get(f"/orders/{other}"), 404, "order-not-found")
    await handle.terminate()


@pytest.mark.parametrize(
    ("method", "url", "status", "kind"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("DELETE", "/orders", 405, "method-not-allowed"),
        ("PUT", f"/orders/{UNKNOWN}", 405, "method-not-allowed"),
        ("GET", f"/orders/{UNKNOWN}/cancel", 405, "method-not-allowed"),
        ("GET", "/orders?status=lost", 422, "unknown-status"),
        ("GET", "/orders?cursor=%21%21", 422, "invalid-cursor"),
        ("GET", "/orders?cursor=bm90IG91cnM=", 422, "invalid-cursor"),
    ],
)
async def test_what_is_not_there_is_a_problem(
    api: httpx.AsyncClient, method: str, url: str, status: int, kind: str
) -> None:
    """Unknown paths, methods, statuses and cursors are told as problems, too."""
    response = await api.request(method, url)
    problem(response, status, kind)
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("/orders/not-an-id", "path.order_id"),
        ("/orders?limit=0", "query.limit"),
        ("/orders?limit=201", "query.limit"),
        ("/orders?customer_id=a'b", "query.customer_id"),
        (f"/orders?cursor={'a' * 4097}", "query.cursor"),
    ],
)
async def test_a_wrong_parameter_is_named(api: httpx.AsyncClient, url: str, named: str) -> None:
    """A parameter that breaks its rule is refused by its name."""
    assert fields(await api.get(url)) == {named}


@pytest.mark.parametrize("key", ["k" * 256, "", "schlüssel"])
async def test_an_idempotency_key_has_its_rules(api: httpx.AsyncClient, key: str) -> None:
    """A key that is too long, empty or not plain ASCII is refused by its name."""
    response = await api.post("/orders", json=EXAMPLE_ORDER, headers={b"Idempotency-Key": key.encode()})
    assert fields(response) == {"header.Idempotency-Key"}
