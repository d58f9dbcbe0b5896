"""Notifications on their way: once each, in order, over restarts, whatever receivers do."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.queues import QueueState
from monitor.chat import AppriseUrl
from monitor.delivery import Delivery
from monitor.incidents import Incident, Incidents, Told, Turn
from monitor.journal import Journal
from monitor.links import Links
from monitor.notices import Notice, notice
from monitor.receivers import AlertsFile
from monitor.settings import MonitorSettings
from service.settings import SettingError, load
from tests.support.eventually import eventually_async
from tests.support.telemetry_back_end import hanging_back_end, recording_back_end

NOW = datetime.now(UTC)
INCIDENT = Incident("shipping", QueueState.ORPHANED, NOW.timestamp(), NOW.timestamp())
FIRING = Incidents({"shipping": INCIDENT})


def a_notice(number: int = 0, turn: Turn = Turn.FIRING) -> Notice:
    return notice(Told(turn, INCIDENT), None, 0.0, (NOW + timedelta(seconds=number)).timestamp(), Links())


@contextlib.asynccontextmanager
async def running(delivery: Delivery) -> AsyncIterator[None]:
    task = asyncio.create_task(delivery.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    """A monitor that ends before it could deliver does so when it is back; what fires is remembered."""
    file, journal = tmp_path / "alerts.jsonl", tmp_path / "monitor.json"
    before = Delivery([AlertsFile(file)], Journal(journal))
    before.tell(FIRING, a_notice())
    assert not file.exists()
    after = Journal(journal)
    assert after.incidents == FIRING
    async with running(Delivery([AlertsFile(file)], after)):
        await eventually_async(lambda: asyncio.sleep(0, after.waiting == 0))
    assert [Notice.model_validate_json(line) for line in file.read_text().splitlines()] == [a_notice()]


async def test_a_line_is_written_once_also_by_a_monitor_that_was_killed(tmp_path: Path) -> None:
    """A notification that was written, but not noted as written, is not written again."""
    file, journal = tmp_path / "alerts.jsonl", tmp_path / "monitor.json"
    Delivery([AlertsFile(file)], Journal(journal)).tell(FIRING, a_notice())
    await AlertsFile(file).deliver(a_notice())
    after = Journal(journal)
    async with running(Delivery([AlertsFile(file)], after)):
        await eventually_async(lambda: asyncio.sleep(0, after.waiting == 0))
    assert len(file.read_text().splitlines()) == 1


async def test_a_torn_line_is_left_behind(tmp_path: Path) -> None:
    """After a line that was cut off in the middle the next one stands by itself."""
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(a_notice().model_dump_json().encode()[:40])
    await AlertsFile(file).deliver(a_notice(1))
    assert Notice.model_validate_json(file.read_text().splitlines()[1]) == a_notice(1)


async def test_a_receiver_that_fails_gets_all_in_order_in_the_end(tmp_path: Path) -> None:
    """What a receiver refuses is tried again, and what came meanwhile follows after it; others have it at once."""
    file, journal = tmp_path / "alerts.jsonl", Journal(tmp_path / "monitor.json")
    with recording_back_end(answer=500) as back_end, hanging_back_end() as hanging:
        urls = [url.replace("http://", "json://") for url in (back_end.url, hanging)]
        delivery = Delivery([AlertsFile(file), *map(AppriseUrl, urls)], journal)
        async with running(delivery):
            delivery.tell(FIRING, a_notice())
            delivery.tell(Incidents(), a_notice(1, Turn.RESOLVED))
            await eventually_async(lambda: asyncio.sleep(0, len(back_end.received)), is_it=lambda tries: tries >= 2)
            assert len(file.read_text().splitlines()) == 2
            assert delivery.waiting == 4
            back_end.answer = 200
            tried = len(back_end.received)
            await eventually_async(lambda: asyncio.sleep(0, delivery.waiting), is_it=lambda waiting: waiting == 2)
            kinds = [json.loads(body)["type"] for _, body in back_end.received[tried:]]
            assert kinds == ["failure", "success"]


async def test_a_receiver_that_is_no_longer_set_gets_nothing(tmp_path: Path) -> None:
    """What waits for a receiver that was taken out of the settings does not wait for ever."""
    journal = tmp_path / "monitor.json"
    with hanging_back_end() as hanging:
        url = AppriseUrl(hanging.replace("http://", "json://"))
        Delivery([url, AlertsFile(tmp_path / "alerts.jsonl")], Journal(journal)).tell(FIRING, a_notice())
    after = Journal(journal)
    async with running(Delivery([AlertsFile(tmp_path / "alerts.jsonl")], after)):
        await eventually_async(lambda: asyncio.sleep(0, after.waiting == 0))


def test_a_journal_that_can_t_be_read_is_put_aside(tmp_path: Path) -> None:
    """The monitor starts all the same, with nothing remembered, and keeps what was there for a look."""
    path = tmp_path / "monitor.json"
    path.write_text("{")
    assert Journal(path).incidents == Incidents()
    assert (tmp_path / "monitor.unreadable").read_text() == "{"


@pytest.mark.parametrize("given", ["nonsense", "json://127.0.0.1/ slack://only-one-token", "https//x"])
def test_receivers_that_apprise_does_not_know(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A receiver that can't be used is refused at the start, by its setting's name, and is not repeated."""
    monkeypatch.setenv("ORDERFLOW_ALERT_URLS", given)
    with pytest.raises(SettingError) as refused:
        load(MonitorSettings)
    assert str(refused.value).startswith("ORDERFLOW_ALERT_URLS: ")
    assert "token" not in str(refused.value)
    assert "nonsense" not in str(refused.value)


def test_several_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers may be separated by spaces or commas."""
    monkeypatch.setenv("ORDERFLOW_ALERT_URLS", "json://127.0.0.1/a, json://127.0.0.1/b json://127.0.0.1/c")
    assert [url[-1] for url in load(MonitorSettings).alert_urls] == ["a", "b", "c"]
