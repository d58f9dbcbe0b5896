"""What is refused before anything else looks at a request: too large a body, and card numbers anywhere in it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, card_number
from contracts.cards import contains_card_number

MAX_BODY_BYTES = 1024 * 1024


class Guard:
    """ASGI middleware: reads the body whole, looks through it, and hands it on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(Headers(scope=scope), receive)
            _refuse_cards(scope, body)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return

        handed_on = False

        async def again() -> Message:
            nonlocal handed_on
            if handed_on:
                return await receive()  # What comes after the body: the client's leaving.
            handed_on = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _read(headers: Headers, receive: Receive) -> bytes:
    too_large = Problem(413, "body-too-large", f"The body may have {MAX_BODY_BYTES} bytes at most.")
    if headers.get("content-length", "0").isdecimal() and int(headers.get("content-length", "0")) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise too_large
        if not message.get("more_body", False):
            return bytes(body)


def _refuse_cards(scope: Scope, body: bytes) -> None:
    headers = Headers(scope=scope)
    for field, text in (
        ("path", unquote_plus(scope["path"])),
        ("query", unquote_plus(scope["query_string"].decode("latin-1"))),
        ("header.Idempotency-Key", headers.get("idempotency-key", "")),
    ):
        if contains_card_number(text):
            raise card_number(field)
    if not body:
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        # Not our JSON, so it will be refused; but not with a card number in the reasons why.
        if contains_card_number(body.decode("utf-8", "replace")):
            raise card_number("body") from None
        return
    for where, text in _texts(value):
        if contains_card_number(text):
            raise card_number(where)


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every text and number in a JSON value, with where it is. Walked with a stack: its depth is the client's."""
    waiting: list[tuple[str, Any]] = [("body", value)]
    while waiting:
        where, found = waiting.pop()
        match found:
            case dict():
                yield from ((where, key) for key in found)
                waiting.extend((f"{where}.{key}", inner) for key, inner in found.items())
            case list():
                waiting.extend((f"{where}.{index}", inner) for index, inner in enumerate(found))
            case bool() | None:
                pass
            case _:
                yield where, str(found)
