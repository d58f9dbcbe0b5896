"""Taking payment, and giving it back."""

from workers.payment.activities import activities

__all__ = ["activities"]
