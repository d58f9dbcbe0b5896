"""What the queue monitor knows, asked over HTTP."""

import httpx
from pydantic import ValidationError

from api.problems import Problem
from contracts.queues import Queues

_ANSWER_SECONDS = 3.0
"""The monitor answers from memory."""


class QueueMonitor:
    """A client of the queue monitor at `url`. Opened in its event loop; `close` it when the API ends."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/queues"
        # Not through a proxy: the monitor is on this machine or in this cluster.
        self._http = httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False)

    async def queues(self) -> Queues:
        """Raises Problem 503 when the monitor can't be asked: nothing is then known of any queue."""
        try:
            response = await self._http.get(self._url)
            return Queues.model_validate_json(response.raise_for_status().content)
        except (httpx.HTTPError, httpx.InvalidURL, ValidationError):
            raise unreachable() from None

    async def close(self) -> None:
        await self._http.aclose()


def unreachable() -> Problem:
    return Problem(
        503,
        "monitor-unreachable",
        "The queue monitor can't be reached, so nothing is known of the queues. Start it (`orderflow start monitor`); "
        "ORDERFLOW_MONITOR_URL says where the API looks for it.",
        headers={"Retry-After": "2"},
    )
