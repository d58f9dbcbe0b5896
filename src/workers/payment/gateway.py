"""The card network, as payment sees it."""

from typing import Protocol


class CardNetwork(Protocol):
    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> str:
        """Charge once for `key` and return the charge's id; a repeat returns the same.

        Raises contracts.errors.Refusal when the card is refused; anything else is a fault worth another try.
        """
        ...

    async def refund(self, key: str) -> None:
        """Give back what was charged for `key` and accept no charge for it afterwards; repeats do nothing more.

        Raises contracts.errors.Refusal when the network will not refund.
        """
        ...
