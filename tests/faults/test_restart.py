"""What outlives its process: a message half sent, and the whole platform stopped and started again."""

import asyncio
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.faults.checks import check_completed_once, history
from tests.faults.conftest import effects_kept_in
from tests.faults.disturbances import kill
from tests.support.eventually import eventually
from tests.support.platform import RunningPlatform, running_platform
from tests.support.ports import free_port


class MailServer:
    """A real SMTP server on loopback that can keep its clients waiting for its answer."""

    def __init__(self) -> None:
        self.delivered: list[Message] = []
        self.asked = 0
        self._answers = asyncio.Event()
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    @property
    def port(self) -> int:
        return int(self._controller.port)

    def __enter__(self) -> "MailServer":
        self._controller.start()
        self.answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def answer(self) -> None:
        self._controller.loop.call_soon_threadsafe(self._answers.set)

    def stall(self) -> None:
        self._controller.loop.call_soon_threadsafe(self._answers.clear)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The message counts as delivered once it is answered for, as in any mail server."""
        self.asked += 1
        await self._answers.wait()
        assert isinstance(envelope.content, bytes)
        self.delivered.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def own_platform(
    request: pytest.FixtureRequest, mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningPlatform]:
    settings = {
        "ORDERFLOW_SMTP_HOST": "127.0.0.1",
        "ORDERFLOW_SMTP_PORT": str(mail_server.port),
        "ORDERFLOW_SMTP_SECURITY": "none",
    }
    folder: Path = tmp_path_factory.mktemp("own") / "data"
    with effects_kept_in(request.param) as databases, running_platform(folder, **settings, **databases) as running:
        yield running


def test_notification_worker_killed(own_platform: RunningPlatform, mail_server: MailServer) -> None:
    """A notification worker killed while the mail server thinks leaves an order with one message delivered."""
    pid = own_platform.pid("notification")
    asked, delivered = mail_server.asked, len(mail_server.delivered)
    mail_server.stall()
    order_id = own_platform.place()
    eventually(lambda: mail_server.asked == asked + 1)
    assert own_platform.effect("notification", order_id) == "pending"
    kill(pid)
    eventually(lambda: mail_server.asked == asked + 2)
    mail_server.answer()
    check_completed_once(own_platform, order_id)
    assert history(own_platform, order_id)["confirm_order"]["attempts"] == 2
    [message] = mail_server.delivered[delivered:]
    assert order_id in str(message["Subject"])


def test_down_and_up(own_platform: RunningPlatform) -> None:
    """Orders outlive `orderflow down`: after the next `up` ended ones read the same and running ones go on."""
    key = {"Idempotency-Key": "outlives a restart"}
    ended = own_platform.place(headers=key)
    before = check_completed_once(own_platform, ended)
    running = own_platform.place(payment_method="tok_flaky")
    own_platform.until(running, "paying")

    own_platform.run("down")
    assert {status["state"] for status in own_platform.status().values()} == {"stopped"}
    own_platform.run("up", "--detach")

    assert own_platform.order(ended) == before
    assert own_platform.place(headers=key) == ended
    check_completed_once(own_platform, running)
