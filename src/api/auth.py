"""API keys: `Authorization: Bearer <key>`."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem

_bearer = HTTPBearer(auto_error=False, description="An API key; `orderflow api-key NAME` makes one.")


def digest(key: str) -> str:
    """What the settings hold of a key. Keys are long and random, so a plain hash can't be searched."""
    return hashlib.sha256(key.encode()).hexdigest()


class Authentication:
    """A dependency that lets a request pass with one of the `keys` (name → digest), or any if there are none."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys

    async def __call__(self, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str | None:
        """The name of the caller's key."""
        if not self._keys:
            return None
        if given is not None:
            presented = digest(given.credentials)
            # All are compared, each in constant time, so that the time tells nothing.
            matching = [name for name, known in self._keys.items() if hmac.compare_digest(known, presented)]
            if matching:
                return matching[0]
        raise Problem(
            401,
            "unauthorized",
            "A valid API key is needed: Authorization: Bearer <key>.",
            headers={"WWW-Authenticate": "Bearer"},
        )
