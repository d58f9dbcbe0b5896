"""Card numbers are found however they are written, and what only looks a little like one is let through."""

import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.cards import contains_card_number

VISA = "4242424242424242"


def luhn_digit(digits: str) -> str:
    """The check digit of ISO/IEC 7812-1 that completes `digits`."""
    doubled = (sum(divmod(int(digit) * 2, 10)) for digit in digits[::-2])
    return str(-(sum(doubled) + sum(int(digit) for digit in digits[-2::-2])) % 10)


def in_script(zero: str, digits: str) -> str:
    """The digits in another script, given its zero."""
    return "".join(chr(ord(zero) + int(digit)) for digit in digits)


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4111\u00a01111\u00a01111\u00a01111",
        "378282246310005",
        "3782 822463 10005",
        "5555555555554444",
        "6011111111111117",
        "2223003122003222",
        "card:4242424242424242;",
        "x4242424242424242x",
        pytest.param(in_script("\uff10", VISA), id="full-width digits"),
        pytest.param(in_script("\u0660", VISA), id="Arabic-Indic digits"),
        pytest.param(in_script("\u0966", VISA), id="Devanagari digits"),
        pytest.param("4242 4242 4242 4242 123", id="with its security code"),
        pytest.param("4242 4242 4242 4242 12/27", id="with its expiry date"),
        pytest.param("1 4242424242424242", id="after another number"),
        pytest.param("4242424242424242.0", id="as a float"),
    ],
)
def test_a_card_number_is_found(text: str) -> None:
    """Published test card numbers are found in every way that people and programs write them."""
    assert contains_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "424242424242",
        "4242424242424243",
        "4242 4242 4242",
        "0000000000000000",
        "1764014400000",
        "2026-11-23T20:04:07.123456Z",
        "1234567.89",
        "1000000000",
        "+44 20 7946 0958",
        "01936f5e-7c1a-7d3e-9b52-3f8a6c1d2e4f",
    ],
)
def test_what_is_no_card_number_passes(text: str) -> None:
    """Short or wrong numbers, timestamps, amounts and ids are not taken for cards."""
    assert not contains_card_number(text)


@given(st.sampled_from("45"), st.text("0123456789", min_size=14, max_size=14), st.data())
def test_every_valid_number_is_found_inside_any_letters(first: str, rest: str, data: st.DataObject) -> None:
    """Any number with a card's beginning, length and check digit is found whatever letters stand around it."""
    number = first + rest + luhn_digit(first + rest)
    around = st.text(st.characters(categories=["L"]), max_size=20)
    if len(set(number)) > 1:
        assert contains_card_number(data.draw(around) + number + data.draw(around))


@given(st.sampled_from("45"), st.text("0123456789", min_size=14, max_size=14), st.data())
def test_a_wrong_check_digit_is_no_card_number(first: str, rest: str, data: st.DataObject) -> None:
    """A number that fails its check digit is let through."""
    right = luhn_digit(first + rest)
    wrong = data.draw(st.sampled_from([digit for digit in string.digits if digit != right]))
    assert not contains_card_number(first + rest + wrong)


@given(st.sampled_from("23456"), st.text("0123456789", min_size=29, max_size=29), st.sampled_from("89"))
def test_no_uuid_is_a_card_number(first: str, rest: str, variant: str) -> None:
    """A UUID is never taken for a card number, also when all its digits are decimal: ids and keys are made of them."""
    one = uuid.UUID(first + rest[:11] + "4" + rest[11:14] + variant + rest[14:])
    assert not contains_card_number(f"/orders/{one}/history")


@given(st.sampled_from("23456"), st.text("0123456789abcdef", min_size=31, max_size=127))
def test_no_hexadecimal_id_is_a_card_number(first: str, rest: str) -> None:
    """Nor is a UUID without hyphens, a trace id or a digest, whatever key it is a part of."""
    for key in (first + rest, f"key_{first}{rest}", f"order-{first}{rest}".upper()):
        assert not contains_card_number(key)


@pytest.mark.parametrize("id", ["a72725a5-6bdc-4f00-afb5-128246526085", "61502dee3518437682410ad1f6da7a63"])
def test_an_id_that_was_taken_for_a_card_number(id: str) -> None:
    """Some whose digits happen to pass a card's check, bare and in a key."""
    assert not contains_card_number(id)
    assert not contains_card_number(f"test_{id}")


@pytest.mark.parametrize(
    "text", [f"{VISA}-a72725a5-6bdc-4f00-afb5-128246526085", f"{VISA} {'a1' * 16}", f"{'1a' * 8}{VISA}x"]
)
def test_a_card_number_beside_an_id_is_found(text: str) -> None:
    """An id hides no card number that stands beside it, and what is no id hides none within it."""
    assert contains_card_number(text)
