"""Keeping personal data, card numbers and keys out of all that is said. A property of the set-up, not of care.

Two nets: patterns, for what has a form (card numbers, e-mail addresses, tokens, keys); and the values of the order at
hand, for what has none (names, streets), which whoever reads an order binds in `telemetry.context`.
"""

import json
import re
import traceback
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import quote, quote_plus

from pydantic import ValidationError

from contracts.cards import mask_card_numbers

MASK = "[redacted]"
_SHORTEST = 4
"""Shorter values (a name such as Li) stand in too many other words to be taken out wherever they occur."""

_EMAIL = re.compile(r"[\w.!#$%&*+/=?^`{|}~\\-][\w.!#$%&'*+/=?^`{|}~\\-]*(?:@|%40)[\w-]+(?:\.[\w-]+)+")
_CREDENTIAL = re.compile(
    r"""(?:authorization|api[_-]?key|password|passwd|secret|access[_-]?token)
        ['"]?\s*[:=]\s*(?:(?:bearer|basic)\s+)?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s'",;]+)"""
    # Also right after a line break that is spelled out.
    r"""|(?:\b|(?<=\\[nrt]))(?:(?:bearer|basic)\s+[\w.~+/=-]{6,}|(?:tok|pm)_\w+)"""
    r"""|(?<=://)[^\s/@:]*:[^\s/]+(?=@)""",
    re.IGNORECASE | re.VERBOSE,
)
_SIGNS = re.compile(
    r"@|%40|\d[ .\-_/]?\d[ .\-_/]?\d[ .\-_/]?\d|tok_|pm_|(?:bearer|basic|authorization|key|pass|secret|token)",
    re.IGNORECASE,
)
"""A cheap look first: most texts have nothing of the kind."""

_PLAIN = re.compile(r"[A-Za-z0-9_. -]*")
"""What is spelled alike nearly everywhere."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values to be masked, in every spelling in which a library may print them, longest first."""

    spellings: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Iterable[str]) -> "Secrets":
        found = {spelling for value in values if len(value) >= _SHORTEST for spelling in _spellings(value)}
        return cls(tuple(sorted(found, key=len, reverse=True)))


NO_SECRETS = Secrets()


def redact(text: str, secrets: Secrets = NO_SECRETS) -> str:
    has_signs = _SIGNS.search(text) is not None or not text.isascii()
    if has_signs:
        # First of all: a postal code that is a part of the number would hide the rest from this.
        text = mask_card_numbers(text, MASK)
    for spelling in secrets.spellings:
        if spelling in text:
            text = text.replace(spelling, MASK)
    return _CREDENTIAL.sub(MASK, _EMAIL.sub(MASK, text)) if has_signs else text


def message_of(error: BaseException) -> str:
    """What an exception says, less what it repeats of its input. Still to be redacted."""
    if isinstance(error, ValidationError):
        # Its own text, and some of its errors' messages, quote the values in part, so that no net would catch them.
        wrong = (f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False))
        return f"{error.error_count()} errors for {error.title}: {'; '.join(wrong)}"
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever it is, there is a line to be written
        return "(an exception that has no text)"


def stack_trace(error: BaseException, trace: TracebackType | None = None) -> str:
    """As Python prints it, with `message_of` for each exception of the chain. Still to be redacted."""
    return "".join(_chain(error, trace or error.__traceback__, set())).rstrip()


def _chain(error: BaseException, trace: TracebackType | None, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    if error.__cause__ is not None and id(error.__cause__) not in seen:
        yield from _chain(error.__cause__, error.__cause__.__traceback__, seen)
        yield "\n\nThe above exception was the direct cause of the following exception:\n\n"
    elif error.__context__ is not None and not error.__suppress_context__ and id(error.__context__) not in seen:
        yield from _chain(error.__context__, error.__context__.__traceback__, seen)
        yield "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    if trace is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(trace)
    yield f"{type(error).__qualname__}: {message_of(error)}"
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield "\n  of the group: "
            yield from _chain(inner, inner.__traceback__, seen)


def _spellings(value: str) -> Iterator[str]:
    if _PLAIN.fullmatch(value):
        yield from (value, value.replace(" ", "%20"), value.replace(" ", "+"))
        return
    plain = unicodedata.normalize("NFKC", value)  # As masking a card number beside it leaves it.
    for text in {value, plain, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
        yield text
        yield from _quoted(text)


def _quoted(text: str) -> Iterator[str]:
    for quoted in (repr, ascii):
        yield quoted(text)[1:-1]
        yield quoted(f"\"'{text}")[4:-1]  # As a part of a text with both kinds of quotes.
    yield json.dumps(text)[1:-1]
    encoded = text.encode("utf-8", "replace")
    yield repr(encoded)[2:-1]
    yield repr(b"\"'" + encoded)[5:-1]
    yield "".join(chr(byte) if byte < 128 else f"\\{byte:03o}" for byte in encoded)  # Protocol buffers as text.
    yield quote(encoded)
    yield quote(encoded, safe="")
    yield quote_plus(encoded)
