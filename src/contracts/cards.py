"""What looks like a payment card number."""

import re
import unicodedata
from collections.abc import Iterator

# 13 to 19 digits (ISO/IEC 7812), single separators allowed as people type them; no digit may touch either end.
_CANDIDATE = re.compile(r"(?<!\d)\d(?:[ .\-_/]?\d){12,18}(?!\d)")
# ISO/IEC 7812 major industry identifiers of payment cards (3 travel, 4 and 5 banking, 6 merchandising) and
# Mastercard's 2-series. Leaving out the rest keeps timestamps and most article numbers from being taken for cards.
_INDUSTRIES = "23456"


def contains_card_number(text: str) -> bool:
    """Whether `text` holds a digit run of a card number's length, beginning and Luhn checksum."""
    # NFKC turns full-width and other Unicode digits and spaces into plain ones.
    return any(_is_card_number(digits) for digits in _digit_runs(unicodedata.normalize("NFKC", text)))


def _digit_runs(text: str) -> Iterator[str]:
    for match in _CANDIDATE.finditer(text):
        yield re.sub(r"\D", "", match.group())


def _is_card_number(digits: str) -> bool:
    return digits[0] in _INDUSTRIES and len(set(digits)) > 1 and _luhn(digits)


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
