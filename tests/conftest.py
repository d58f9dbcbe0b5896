"""What the tests share."""

import os

import pytest

REQUIRED = os.environ.get("ORDERFLOW_REQUIRE_BACKENDS") == "1"


def lacking(reason: str) -> None:
    """A back end is not here: the test is skipped, saying why, and fails where back ends are required (CI)."""
    if REQUIRED:
        pytest.fail(f"a back end is required and missing: {reason}")
    pytest.skip(reason)
