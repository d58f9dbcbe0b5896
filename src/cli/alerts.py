"""The monitor's notifications as they come, from `<data>/alerts.jsonl`."""

from pathlib import Path

from pydantic import ValidationError

from monitor.notices import Notice


class NewAlerts:
    """Those that are written from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = path.stat().st_size if path.exists() else 0

    def take(self) -> list[Notice]:
        """What has come since the last call. A line that is no notification is passed over."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        return [found for line in whole.splitlines() if (found := _notice(line)) is not None]


def _notice(line: bytes) -> Notice | None:
    try:
        return Notice.model_validate_json(line)
    except ValidationError:
        return None
