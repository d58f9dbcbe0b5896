"""Polling for a condition, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], within_seconds: float = 30.0, *, is_it: Callable[[T], bool] = bool) -> T:
    """The first value of `look` that is as wished. Fails with the last one seen when time is up.

    An AssertionError raised by `look` counts as "not yet".
    """
    deadline = time.monotonic() + within_seconds
    while True:
        seen: T | AssertionError
        try:
            seen = look()
            if is_it(seen):
                return seen
        except AssertionError as error:
            seen = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_seconds} s; last seen: {seen!r}")
        time.sleep(0.05)


async def eventually_async(
    look: Callable[[], Awaitable[T]], within_seconds: float = 30.0, *, is_it: Callable[[T], bool] = bool
) -> T:
    """`eventually` for a coroutine."""
    deadline = time.monotonic() + within_seconds
    while True:
        seen = await look()
        if is_it(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_seconds} s; last seen: {seen!r}")
        await asyncio.sleep(0.05)
