"""Reserving items from stock, and releasing them."""

from workers.inventory.activities import activities

__all__ = ["activities"]
