"""A platform whose queue monitor also notifies a webhook."""

from collections.abc import Iterator

import pytest

from tests.support.platform import RunningPlatform, running_platform
from tests.support.telemetry_back_end import RecordingBackEnd, recording_back_end


@pytest.fixture(scope="session")
def webhook() -> Iterator[RecordingBackEnd]:
    with recording_back_end() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, webhook: RecordingBackEnd) -> Iterator[RunningPlatform]:
    url = webhook.url.replace("http://", "json://")
    with running_platform(tmp_path_factory.mktemp("watched") / "data", ORDERFLOW_ALERT_URLS=url) as platform:
        yield platform
