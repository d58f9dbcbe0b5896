"""What the tests share."""

import os
import signal
from typing import NoReturn

import hypothesis
import pytest

# Modules of checks that are no test modules; here, before any of them is imported.
pytest.register_assert_rewrite(
    "tests.faults.checks",
    "tests.faults.disturbances",
    "tests.monitor.alerts",
    "tests.telemetry.trees",
)
# Commands that tests start are ended by Ctrl-C, also when the tests run in the background of a shell, which makes all
# that it starts there ignore it. What a handler takes is not inherited as ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("orderflow", deadline=None)
hypothesis.settings.load_profile("orderflow")

REQUIRED = os.environ.get("ORDERFLOW_REQUIRE_BACKENDS") == "1"


def lacking(reason: str) -> NoReturn:
    """A back end is not here: the test is skipped, saying why, and fails where back ends are required (CI)."""
    if REQUIRED:
        pytest.fail(f"a back end is required and missing: {reason}")
    pytest.skip(reason)
