"""Telling the customer: the confirmation, or why there is none."""

from workers.notification.activities import activities

__all__ = ["activities"]
