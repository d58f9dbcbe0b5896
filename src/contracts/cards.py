"""What looks like a payment card number."""

import re
import unicodedata
from collections.abc import Iterator

# Digits in groups, with single separators between them as people type them.
_RUN = re.compile(r"\d(?:[ .\-_/]?\d){12,}")
_LENGTHS = range(13, 20)  # ISO/IEC 7812.
_MOST_GROUPS = 5
# UUIDs, and what is written as 32 hexadecimal digits or more: UUIDs without hyphens, trace ids, digests. Ids and keys
# are made of them, and one in a thousand has a run of digits that passes for a card number.
_ID = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32,})(?![0-9a-z])",
    re.IGNORECASE | re.ASCII,
)
# ISO/IEC 7812 major industry identifiers of payment cards (3 travel, 4 and 5 banking, 6 merchandising) and
# Mastercard's 2-series. Leaving out the rest keeps timestamps and most article numbers from being taken for cards.
_INDUSTRIES = "23456"
_DOUBLED = {"0": 0, "1": 2, "2": 4, "3": 6, "4": 8, "5": 1, "6": 3, "7": 5, "8": 7, "9": 9}


def contains_card_number(text: str) -> bool:
    """Whether `text` holds a digit run of a card number's length, beginning and Luhn checksum.

    Other numbers may stand beside it, as its security code and expiry date do.
    """
    # NFKC turns full-width digits and unusual spaces into plain ones; the digits of other scripts follow below.
    return any(_is_card_number(digits) for digits in _candidates(unicodedata.normalize("NFKC", text)))


def mask_card_numbers(text: str, mask: str) -> str:
    """`text` with `mask` in place of each run of digits that holds a card number; unchanged where there is none."""
    if not contains_card_number(text):
        return text
    plain = unicodedata.normalize("NFKC", text)
    parts: list[str] = []
    end = 0
    for found in _ID.finditer(plain):
        parts += [_mask_runs(plain[end : found.start()], mask), found.group()]
        end = found.end()
    return "".join([*parts, _mask_runs(plain[end:], mask)])


def _mask_runs(plain: str, mask: str) -> str:
    return _RUN.sub(lambda run: mask if any(map(_is_card_number, _numbers(run.group()))) else run.group(), plain)


def _candidates(text: str) -> Iterator[str]:
    for run in _RUN.finditer(_ID.sub("|", text)):
        yield from _numbers(run.group())


def _numbers(run: str) -> Iterator[str]:
    """What a run of digits may stand for: all of it, or some of its groups."""
    groups = [_plain(group) for group in re.split(r"\D", run)]
    yield "".join(groups)
    for start in range(len(groups)):
        digits = ""
        for group in groups[start : start + _MOST_GROUPS]:
            digits += group
            if len(digits) >= _LENGTHS.stop:
                break
            yield digits


def _plain(digits: str) -> str:
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


def _is_card_number(digits: str) -> bool:
    return len(digits) in _LENGTHS and digits[0] in _INDUSTRIES and len(set(digits)) > 1 and _luhn(digits)


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    return (sum(map(int, digits[::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))) % 10 == 0
