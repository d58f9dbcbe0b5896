"""Handing the parcel to the carrier, and calling it back before it has left."""

from workers.shipping.activities import activities

__all__ = ["activities"]
