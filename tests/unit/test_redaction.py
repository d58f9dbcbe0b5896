"""Redaction: what is personal or secret goes, however it is spelled; everything else stays as it is."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import BaseModel, EmailStr, ValidationError

from contracts.cards import contains_card_number, mask_card_numbers
from contracts.orders import Order
from telemetry import context, traces
from telemetry.redaction import MASK, Secrets, message_of, redact, stack_trace
from tests.support.orders import a_contract_order

CARD = "4242424242424242"


@pytest.mark.parametrize(
    "text",
    [
        "ada@example.com",
        "<ada.lovelace+shop@mail.example.co.uk>",
        "RCPT TO:<jörg@exämple.de>",
        "550 no such user 'o'neil@example.com'",
        "email=ada%40example.com&x=1",
        "mailto:ada@example.com?subject=x",
    ],
)
def test_an_email_address_goes(text: str) -> None:
    """An e-mail address is masked wherever it stands, of whatever script, also URL-quoted."""
    clean = redact(text)
    assert MASK in clean
    assert not any(sign in clean for sign in ("@", "%40", "ada", "rg@", "neil"))


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "authorization: Basic {}",
        "{{'Authorization': 'Bearer {}'}}",
        "[(b'authorization', b'Bearer {}')]",
        'header {{"authorization": "{}"}}',
        "bearer  {}",
        "api_key={}",
        "X-Api-Key: {}",
        "ORDERFLOW_API_KEY={}",
        "ORDERFLOW_SMTP_PASSWORD={}",
        "password: '{} and more'",
        '{{"smtp_password": "\\"{}"}}',
        "client_secret={};",
        "access_token={}&x=1",
        "smtp://mailer:{}@mail.example/",
        "postgresql://orders:{}@db:5432/orders",
        "postgresql://orders:p@{}@db:5432/orders",
        "redis://:{}@cache",
    ],
)
def test_a_credential_goes(text: str) -> None:
    """The secret half of a credential is masked whole in each form in which programs print credentials."""
    secret = "hunter2-of_aB3.dE"
    clean = redact(text.format(secret))
    assert MASK in clean
    assert not any(part in clean for part in ("hunter2", "dE", "and more"))


@pytest.mark.parametrize("text", ["{}", "'{}'", "token {} refused", "line\\n{}", "x={}&y=1", "(tok){}"])
@pytest.mark.parametrize("token", ["tok_visa", "pm_1Nq2aB", "TOK_VISA"])
def test_a_payment_token_goes(text: str, token: str) -> None:
    """A payment token, of either of the forms that an order may bear, is masked."""
    clean = redact(text.format(token))
    assert token not in clean
    assert MASK in clean


@pytest.mark.parametrize("separator", [" ", "-", ".", "/", "_"])
@pytest.mark.parametrize(
    ("width", "before", "after"),
    [
        (1, "", ""),
        (2, "card ", ", please"),
        (4, "card ", ", please"),
        (4, "müller ", "x"),
        (4, "1 ", " 12/27"),
        (16, "x", "x"),
        (16, "1 ", " 123"),
    ],
)
def test_a_card_number_goes(separator: str, width: int, before: str, after: str) -> None:
    """A card number is masked in every grouping, with the numbers that may stand beside it, and words stay."""
    written = separator.join(CARD[start : start + width] for start in range(0, 16, width))
    words = [part if part.strip().isalpha() or "," in part else "" for part in (before, after)]
    assert redact(f"{before}{written}{after}") == f"{words[0]}{MASK}{words[1]}"


@given(st.text(), st.sampled_from(["", " ", "-"]), st.text())
@example("4242 ", "", "")
@example(f"{uuid.UUID(int=7)} ", "", "")
@example("\uff14", "", f" {uuid.UUID('a72725a5-6bdc-4f00-afb5-128246526085')}")
def test_masking_leaves_no_card_number(before: str, separator: str, after: str) -> None:
    """Whatever stands around a card number, none is found after masking."""
    card = separator.join(("4242", "4242", "4242", "4242"))
    assert not contains_card_number(mask_card_numbers(f"{before}{card}{after}", MASK))


def test_what_has_the_form_of_a_uuid_inside_a_word_is_masked() -> None:
    """Digits grouped as a UUID's are a card number all the same where they are part of a longer word."""
    text = "x42424242-4242-4242-4242-424242424242"
    assert contains_card_number(text)
    assert "4242" not in mask_card_numbers(text, MASK)


@given(st.uuids(), st.integers(0, 2**128 - 1))
@example(uuid.UUID("a72725a5-6bdc-4f00-afb5-128246526085"), 0)
def test_ids_stay(one: uuid.UUID, trace: int) -> None:
    """A UUID stays, also beside a card number that goes; and so does a trace id with a letter in each half."""
    assert redact(f"order {one} ended") == f"order {one} ended"
    assert redact(f"order {one} of {CARD}") == f"order {one} of {MASK}"
    trace_id = f"{trace:032x}"[:31] + "f"
    if not contains_card_number(trace_id):
        assert redact(f"trace {trace_id}") == f"trace {trace_id}"


@pytest.mark.parametrize(
    "text",
    [
        "take_payment started",
        "take_payment retried: simulated: no answer; next try in 2 s",
        "polling",
        "line 2, in <module>\n    raise ConnectionError('no answer')",
        "2026-11-23T20:04:07.123456Z 1764014400000",
        "http://127.0.0.1:8080/orders?limit=10",
        "Article TEA-EARL-GREY is out of stock in that quantity.",
        "the monkey's keyboard is secretive",
        "Größe: 12 €",
        "a@b",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """What is nobody's data is told letter by letter."""
    assert redact(text) == text


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "ascii": ascii,
    "in a dict": lambda value: str({"list": [value]}),
    "in a text with both quotes": lambda value: repr(f"\"'{value}"),
    "JSON": json.dumps,
    "JSON as it is": lambda value: json.dumps(value, ensure_ascii=False),
    "URL": quote,
    "URL, all of it": lambda value: quote(value, safe=""),
    "URL query": quote_plus,
    "bytes": lambda value: str(value.encode()),
    "JSON in bytes": lambda value: str(json.dumps(value, ensure_ascii=False).encode()),
    "JSON in JSON": lambda value: json.dumps(json.dumps(value)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(st.text(min_size=4, max_size=30))
@example("12 St James's Square")
@example('Jürgen "Jü" O\'Neil')
@example("C:\\Straße\\1")
@example("東京都千代田区")
@example("🏠 of Åda/Łovelace+1")
def test_an_order_s_own_values_go(spelling: str, value: str) -> None:
    """Of a value of the order at hand nothing stays, in every spelling in which a library may print it."""
    spelled = SPELLINGS[spelling]
    around = spelled("X" * 40).split("X" * 40)
    secrets = Secrets.of([value])
    assume(not any(spelling in MASK or spelling in around[0] for spelling in secrets.spellings))
    clean = redact(spelled(value), secrets)
    assert clean.replace('"', "'") == MASK.join(around).replace('"', "'")


def test_the_longer_value_goes_first() -> None:
    """A value that is part of another one does not leave the other's rest."""
    assert redact("Ada King Lovelace", Secrets.of(["King", "Ada King Lovelace"])) == MASK


def test_a_value_inside_a_card_number_does_not_hide_the_number() -> None:
    """A postal code that happens to be a part of the card number beside it leaves nothing of the number."""
    assert redact("378282246310005", Secrets.of(["8224"])) == MASK


def test_a_short_value_stays() -> None:
    """A name of three letters stands in other words, so it is not taken out of them."""
    assert redact("initialised", Secrets.of(["Ali", "ali"])) == "initialised"


class Customer(BaseModel):
    name: int
    email: EmailStr


def test_a_validation_error_quotes_no_input() -> None:
    """Of a ValidationError it is told which field is wrong and how, and nothing of what was given."""
    with pytest.raises(ValidationError) as raised:
        Customer.model_validate({"name": "Zaphod Beeblebrox", "email": "zaphod@beeble brox"})
    told = message_of(raised.value)
    assert "2 errors" in told
    assert "name: int_parsing" in told
    assert "email: value_error" in told
    assert "brox" not in told.lower()


def test_a_stack_trace_tells_the_whole_chain() -> None:
    """Cause, context and the members of a group are told with their types, and each ValidationError without input."""
    try:
        try:
            Customer.model_validate({"name": "given by a customer"})
        except ValidationError as wrong:
            try:
                raise KeyError("during that")
            except KeyError:
                raise ExceptionGroup("several", [RuntimeError("first"), OSError("second")]) from wrong
    except ExceptionGroup as error:
        told = stack_trace(error)
    for part in (
        "ValidationError: 2 errors",
        "direct cause",
        "ExceptionGroup: several",
        "RuntimeError: first",
        "OSError: second",
    ):
        assert part in told
    assert told.index("ValidationError") < told.index("ExceptionGroup: several")
    assert "input_value" not in told
    assert "KeyError" not in told  # Python leaves out the context of what has a cause.


def test_a_stack_trace_tells_the_context() -> None:
    """What was being handled when another exception came is told, unless it was suppressed."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise RuntimeError("second")  # noqa: B904 - the context is the point
    except RuntimeError as error:
        told = stack_trace(error)
    assert told.index("KeyError") < told.index("During handling") < told.index("RuntimeError: second")


def test_a_stack_trace_leaves_out_what_was_suppressed() -> None:
    """What was left out on purpose, with `from None`, is not told."""

    def fail() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise RuntimeError("second") from None

    with pytest.raises(RuntimeError) as raised:
        fail()
    assert "KeyError: " not in stack_trace(raised.value)


def test_a_chain_that_bites_its_tail_ends() -> None:
    """Exceptions that are each other's cause are told once each."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    told = stack_trace(first)
    assert told.count("ValueError: first") == told.count("ValueError: second") == 1


def test_an_exception_without_a_text_is_told() -> None:
    """An exception whose own text fails does not keep its line from being written."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert "Broken: (an exception that has no text)" in stack_trace(Broken())


def test_a_span_tells_no_more_than_a_line() -> None:
    """Whatever a library puts on a span leaves redacted: attributes, lists, events and the status. Our ids stay."""
    exporter = InMemorySpanExporter()
    provider = traces.provider(Resource.create(), traces.Outbox(exporter, 0), 10)
    with order_at_hand() as order, provider.get_tracer("library").start_as_current_span("call") as span:
        span.set_attributes(
            {
                "order.id": order.order_id,
                "url.query": "name=" + quote(order.shipping_address.name),
                "address": order.shipping_address.street,
                "headers": ["accept: */*", "authorization: Bearer 0123456789"],
                "counts": [1, 2],
            }
        )
        span.add_event("exception", {"exception.message": f"no such user <{order.email}>"})
        span.set_status(StatusCode.ERROR, f"charging {order.payment_method} failed")
    provider.shutdown()
    (left,) = exporter.get_finished_spans()
    assert left.attributes == {
        "order.id": order.order_id,
        "url.query": MASK,
        "address": MASK,
        "headers": ("accept: */*", MASK),
        "counts": (1, 2),
    }
    assert left.events[0].attributes == {"exception.message": f"no such user <{MASK}>"}
    assert left.status.description == f"charging {MASK} failed"


@contextmanager
def order_at_hand() -> Iterator[Order]:
    """What is said in the block is said of this order."""
    order = a_contract_order()
    context.keep_order_secret(order)
    try:
        yield order
    finally:
        context.keep_secret([])
