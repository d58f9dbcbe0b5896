"""What the queue monitor of a running platform says and has told."""

import json
from typing import Any

from contracts.queues import Queues, QueueState
from contracts.registry import BY_NAME
from monitor.notices import Notice
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform
from tests.support.telemetry_back_end import RecordingBackEnd


def monitor_url(platform: RunningPlatform) -> str:
    return f"http://127.0.0.1:{BY_NAME['monitor'].port + int(platform.environment['ORDERFLOW_HEALTH_PORT_OFFSET'])}"


def queues(platform: RunningPlatform) -> Queues:
    return Queues.model_validate_json(platform.http.get(f"{monitor_url(platform)}/queues").content)


def state(platform: RunningPlatform, service: str) -> QueueState:
    return next(queue.state for queue in queues(platform).queues if queue.service == service)


def until_all_ok(platform: RunningPlatform) -> None:
    """Returns when every queue is ok, and all that was to be told of it is told."""
    eventually(lambda: {queue.state for queue in queues(platform).queues}, 60, is_it=lambda it: it == {QueueState.OK})
    eventually(lambda: journal(platform)["firing"], is_it=lambda firing: not firing)


def journal(platform: RunningPlatform) -> dict[str, Any]:
    path = platform.data_dir / "monitor.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"firing": {}, "undelivered": {}}
    return found


class Told:
    """The notifications from this moment on."""

    def __init__(self, platform: RunningPlatform, webhook: RecordingBackEnd | None = None) -> None:
        self._path = platform.data_dir / "alerts.jsonl"
        self._webhook = webhook
        self._lines_before = len(self._lines())
        self._posts_before = len(webhook.received) if webhook else 0

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []

    def all(self) -> list[Notice]:
        """By the file."""
        return [Notice.model_validate_json(line) for line in self._lines()[self._lines_before :]]

    def turns(self) -> list[tuple[str, str, str]]:
        """By the file: service, alert and whether it fires or is resolved, in order."""
        return [(notice.service, notice.alert, notice.state.value) for notice in self.all()]

    def posted(self) -> list[tuple[str, str]]:
        """By the webhook: kind and title of each, in order."""
        assert self._webhook is not None
        bodies = [json.loads(body) for _, body in self._webhook.received[self._posts_before :]]
        return [(body["type"], body["title"]) for body in bodies]

    def until(self, service: str, alert: str, turn: str, within_seconds: float = 60) -> Notice:
        """The first such notification."""
        found = eventually(
            lambda: [n for n in self.all() if (n.service, n.alert, n.state.value) == (service, alert, turn)],
            within_seconds,
        )
        return found[0]
