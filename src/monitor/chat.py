"""Webhooks, mail, chat, telephones: whatever Apprise knows, by its URLs (https://appriseit.com/services).

Imported only where such a URL is set: Apprise takes 37 MB.
"""

import asyncio
import hashlib

import apprise
from apprise.utils.parse import parse_urls

from monitor.incidents import Turn
from monitor.notices import Notice
from monitor.receivers import NotDelivered


def urls(given: str) -> tuple[str, ...]:
    """Those in a text, separated by spaces or commas. Raises ValueError for one that Apprise does not know."""
    found: tuple[str, ...] = tuple(parse_urls(given))  # type: ignore[no-untyped-call]
    for number, url in enumerate(found, start=1):
        if not apprise.Apprise().add(url):
            # Not repeated: it may hold a password.
            raise ValueError(f"number {number} is not an address that Apprise knows")
    if not found:
        raise ValueError("must be addresses of the form service://…, as Apprise has them")
    return found


class AppriseUrl:
    def __init__(self, url: str) -> None:
        self._apprise = apprise.Apprise()
        self._apprise.add(url)
        self.name = f"{url.partition(':')[0]}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"

    async def deliver(self, notice: Notice) -> None:
        title, _, body = notice.text.partition("\n")
        # In a thread: some of Apprise's services block. Each has time limits of its own.
        taken = await asyncio.to_thread(
            self._apprise.notify, body, title=f"[{notice.state.upper()}] {title}", notify_type=_kind(notice)
        )
        if not taken:
            raise NotDelivered("the receiver did not take it")


def _kind(notice: Notice) -> apprise.NotifyType:
    if notice.state is Turn.RESOLVED:
        return apprise.NotifyType.SUCCESS
    return apprise.NotifyType.FAILURE if notice.severity == "critical" else apprise.NotifyType.WARNING
