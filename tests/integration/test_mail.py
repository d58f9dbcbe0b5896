"""Mail: through a real SMTP server on loopback, or into a folder."""

import email
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from contracts.errors import Refusal
from contracts.registry import STEPS
from contracts.steps import StepInput
from tests.support.orders import a_contract_order
from tests.support.ports import free_port
from workers.context import StepContext
from workers.database import database_url, open_database
from workers.migration import migrate
from workers.notification import activities
from workers.notification.gateway import MailFolder, MailSettings, Smtp
from workers.notification.messages import confirmation

ADDRESS = "ada@example.com"
SENDER = "orders@shop.example"


class Mailbox:
    """A mail server's decisions: what it answers to a recipient and to a message, and what it took."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.recipient_answer = "250 OK"
        self.message_answer = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
            return self.recipient_answer
        return f"{self.recipient_answer} <{address}>"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.message_answer.startswith("250"):
            self.taken.append(envelope)
            return self.message_answer
        return f"{self.message_answer} <{envelope.rcpt_tos[0]}>"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True)
    controller.start()
    yield controller.port
    controller.stop()


def settings(port: int, **changes: Any) -> MailSettings:
    given = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "smtp_timeout_seconds": 5.0}
    return MailSettings.model_validate(given | changes)


def message(address: str = ADDRESS) -> EmailMessage:
    order = a_contract_order(email=address)
    named = order.shipping_address.model_copy(update={"name": "Åda Łovelace"})
    return confirmation(order.model_copy(update={"shipping_address": named}), "trk_1234", SENDER)


def parsed(envelope: Envelope) -> EmailMessage:
    content = envelope.content
    assert isinstance(content, bytes)
    found = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


async def test_a_message_is_delivered_once_as_it_is(mailbox: Mailbox, port: int) -> None:
    """One sending is one message at the server, from and to whom it should be, with its headers and text whole."""
    sent = message()
    await Smtp(settings(port)).send("name", sent)
    (envelope,) = mailbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [ADDRESS])
    seen = parsed(envelope)
    for header in ("Subject", "From", "To", "Message-ID"):
        assert str(seen[header]).strip() == sent[header]
    assert seen.get_content().splitlines() == sent.get_content().splitlines()
    assert "Åda Łovelace" in seen.get_content()


async def test_an_address_that_is_not_ascii_is_reached(mailbox: Mailbox, port: int) -> None:
    """A customer whose address is not ASCII gets the message where the server can take such addresses."""
    await Smtp(settings(port)).send("name", message("jörg@example.com"))
    (envelope,) = mailbox.taken
    assert envelope.rcpt_tos == ["jörg@example.com"]


async def test_a_refused_recipient_is_a_refusal(mailbox: Mailbox, port: int) -> None:
    """A server's lasting no to the address is a refusal, and its text, which names the address, goes no further."""
    mailbox.recipient_answer = "550 5.1.1 no such user"
    with pytest.raises(Refusal) as refused:
        await Smtp(settings(port)).send("name", message())
    assert refused.value.code == "mail_refused"
    assert ADDRESS not in f"{refused.value!s} {refused.value!r} {refused.value.message} {refused.value.details}"
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert mailbox.taken == []


@pytest.mark.parametrize(
    ("recipient_answer", "message_answer"),
    [("451 4.7.1 try later", "250 OK"), ("250 OK", "451 4.3.0 try later"), ("250 OK", "554 5.7.1 looks like spam")],
)
async def test_a_server_that_is_not_willing_now_is_a_fault(
    mailbox: Mailbox, port: int, recipient_answer: str, message_answer: str
) -> None:
    """What another try may mend is a fault, so that it is tried again; and its text does not name the address."""
    mailbox.recipient_answer, mailbox.message_answer = recipient_answer, message_answer
    with pytest.raises(Exception, match=r"mail server") as fault:
        await Smtp(settings(port)).send("name", message())
    assert not isinstance(fault.value, Refusal)
    assert ADDRESS not in f"{fault.value!s} {fault.value!r}"
    assert fault.value.__suppress_context__
    assert mailbox.taken == []


async def test_a_server_that_is_down_is_a_fault() -> None:
    """A refused connection is a fault, so that the message goes out once the server is back."""
    with pytest.raises(Exception, match=r"(?i)connect") as fault:
        await Smtp(settings(free_port())).send("name", message())
    assert not isinstance(fault.value, Refusal)
    assert ADDRESS not in str(fault.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_nothing_is_sent_in_the_clear_where_encryption_is_asked_for(
    mailbox: Mailbox, port: int, security: str
) -> None:
    """With encryption configured, a server that has none gets no message: that is a fault."""
    with pytest.raises(Exception, match=r"(?i)tls|ssl") as fault:
        await Smtp(settings(port, smtp_security=security)).send("name", message())
    assert not isinstance(fault.value, Refusal)
    assert mailbox.taken == []


async def test_a_repeated_confirmation_goes_out_once(
    mailbox: Mailbox, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notification worker, configured from its environment, mails a confirmation once however often it runs."""
    monkeypatch.setenv("ORDERFLOW_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("ORDERFLOW_SMTP_PORT", str(port))
    monkeypatch.setenv("ORDERFLOW_SMTP_SECURITY", "none")
    url = database_url(None, "notification", tmp_path, "TEST_DATABASE_URL")
    database = open_database(url)
    await migrate("notification", database)
    made = await activities(StepContext("notification", tmp_path, database))
    confirm = next(function for function in made if function.__name__ == STEPS["notification"].activity)
    given = StepInput(order=a_contract_order(), receipts={"shipping": "trk_1234"})
    receipts = [await confirm(given) for _ in range(3)]
    await database.close()
    (envelope,) = mailbox.taken
    assert f"<{receipts[0].reference}>" == str(parsed(envelope)["Message-ID"]).strip()
    assert receipts == receipts[:1] * 3
    assert "trk_1234" in parsed(envelope).get_content()
    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize("address", [ADDRESS, "jörg@example.com"])
async def test_the_folder_holds_each_message_once(tmp_path: Path, address: str) -> None:
    """Without a server a message is one file that mail programs read; sending it again leaves that one file."""
    folder = MailFolder(tmp_path / "mail")
    sent = message(address)
    for _ in range(2):
        await folder.send("0193-confirmation", sent)
    (file,) = (tmp_path / "mail").iterdir()
    assert file.name == "0193-confirmation.eml"
    seen = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(seen, EmailMessage)
    assert seen["To"] == address
    assert seen.get_content() == sent.get_content()
