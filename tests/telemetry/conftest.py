"""One receiver for all of these tests, and one platform of real processes that sends to it over HTTP."""

from collections.abc import Iterator

import pytest

from tests.support.otlp import Receiver, otlp_receiver
from tests.support.platform import RunningPlatform, running_platform


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with otlp_receiver() as receiving:
        yield receiving


@pytest.fixture(scope="session")
def platform(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    with running_platform(tmp_path_factory.mktemp("traced") / "data", **settings) as running:
        yield running
