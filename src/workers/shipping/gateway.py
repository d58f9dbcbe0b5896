"""The carrier, as shipping sees it."""

from typing import Protocol

from contracts.orders import Address


class Carrier(Protocol):
    async def ship(self, key: str, address: Address, pieces: int) -> str:
        """Hand one parcel over for `key` and return its tracking number; a repeat returns the same.

        Raises contracts.errors.Refusal for an address it can't deliver to; anything else is a fault worth another try.
        """
        ...

    async def recall(self, key: str) -> str | None:
        """Take no parcel for `key` any more; returns the tracking number if it has left already, else None."""
        ...
