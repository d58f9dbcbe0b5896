"""Measurements of the platform as a user runs it, beside the least that Temporal itself would cost."""
