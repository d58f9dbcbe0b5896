"""Notifications on their way: each receiver has its own line, so that a slow one holds up nobody, watching least."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from monitor.incidents import Incidents
from monitor.journal import Journal
from monitor.metrics import NOTIFICATIONS
from monitor.notices import Notice
from monitor.receivers import NotDelivered, Receiver
from telemetry.names import EVENT_ACTION

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 60.0
_TOO_OLD = timedelta(hours=24)

_log = logging.getLogger(__name__)


class Delivery:
    """Each notification once to each receiver, in order, tried again until it is taken.

    What a receiver has taken is noted after it took it: a monitor that is killed in between sends it once more. The
    alerts file looks before it writes.
    """

    def __init__(self, receivers: Sequence[Receiver], journal: Journal) -> None:
        self._receivers = receivers
        self._journal = journal
        self._news = {receiver.name: asyncio.Event() for receiver in receivers}
        journal.forget_others(set(self._news))

    @property
    def waiting(self) -> int:
        return self._journal.waiting

    def tell(self, incidents: Incidents, notice: Notice) -> None:
        """Returns at once. `incidents` is what is firing now, kept with it."""
        self._journal.note(incidents, notice, set(self._news))
        for news in self._news.values():
            news.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for receiver in self._receivers:
                group.create_task(self._serve(receiver))

    async def _serve(self, receiver: Receiver) -> None:
        while True:
            self._news[receiver.name].clear()
            for notice in self._journal.undelivered(receiver.name):
                await self._deliver(receiver, notice)
                self._journal.delivered(receiver.name, notice)
            await self._news[receiver.name].wait()

    async def _deliver(self, receiver: Receiver, notice: Notice) -> None:
        """Returns when it is taken, or too old to be of use."""
        pause_seconds = _FIRST_RETRY_SECONDS
        about = {"orderflow.alert": notice.alert, "orderflow.receiver": receiver.name}
        while True:
            try:
                await receiver.deliver(notice)
            except NotDelivered as error:
                NOTIFICATIONS.add(1, {"outcome": "failed"})
                if datetime.now(UTC) - notice.at > _TOO_OLD:
                    _log.error("a notification is given up: %s", error, extra=about | {EVENT_ACTION: "alert-given-up"})
                    return
                _log.warning(
                    "a notification is not taken, tried again in %.0f s: %s",
                    *(pause_seconds, error),
                    extra=about | {EVENT_ACTION: "alert-not-taken"},
                )
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_RETRY_SECONDS)
            else:
                NOTIFICATIONS.add(1, {"outcome": "delivered"})
                return
