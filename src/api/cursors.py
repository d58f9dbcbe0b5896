"""The cursors of the order list: Temporal's page tokens, marked as ours."""

import base64
import binascii
import hashlib

from api.problems import Problem

_MARK_BYTES = 8


def cursor(page_token: bytes) -> str | None:
    """What a client gives back to get the next page; None where there is none."""
    return base64.urlsafe_b64encode(_mark(page_token) + page_token).decode() if page_token else None


def page_token(cursor: str | None) -> bytes | None:
    """Raises Problem 422 for a cursor that is not one of ours."""
    if cursor is None:
        return None
    try:
        decoded = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise foreign() from None
    mark, token = decoded[:_MARK_BYTES], decoded[_MARK_BYTES:]
    # Temporal fails on a token that is not its own, as if it were down.
    if mark != _mark(token):
        raise foreign()
    return token


def foreign() -> Problem:
    return Problem(422, "invalid-cursor", "The cursor is not one that this API has given out.")


def _mark(page_token: bytes) -> bytes:
    return hashlib.sha256(page_token).digest()[:_MARK_BYTES]
