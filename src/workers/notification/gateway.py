"""The ways a message leaves: SMTP, or a folder of .eml files where none is configured."""

import asyncio
import uuid
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, Protocol

import aiosmtplib
from pydantic import Field, SecretStr

from contracts.errors import Refusal
from service.settings import Settings
from telemetry.spans import call_span


class MailSettings(Settings):
    smtp_host: str | None = None
    """Without it, messages are written to `<data>/mail/`."""
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout_seconds: float = Field(default=20.0, gt=0)
    mail_from: str = "orders@orderflow.example"


class Mailer(Protocol):
    async def send(self, name: str, message: EmailMessage) -> None:
        """Hand the message over. `name` is unique to it and stable over repeats.

        Raises contracts.errors.Refusal when it is refused for good; anything else is a fault worth another try.
        """
        ...


class MailFolder:
    """One .eml file a message; a repeat replaces it by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, name: str, message: EmailMessage) -> None:
        await asyncio.to_thread(self._write, name, bytes(message))

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".{name}.{uuid.uuid4().hex}.partial"  # A repeat may be at it at the same time.
        partial.write_bytes(content)
        partial.replace(self._folder / f"{name}.eml")  # Seen whole or not at all.


class Smtp:
    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, name: str, message: EmailMessage) -> None:  # noqa: ARG002 - the Message-ID names it here
        given = self._settings
        try:
            with call_span("smtp send", {"server.address": str(given.smtp_host), "server.port": given.smtp_port}):
                await aiosmtplib.send(
                    message,
                    hostname=given.smtp_host,
                    port=given.smtp_port,
                    use_tls=given.smtp_security == "tls",
                    start_tls=given.smtp_security == "starttls",
                    username=given.smtp_username,
                    password=given.smtp_password.get_secret_value() if given.smtp_password else None,
                    timeout=given.smtp_timeout_seconds,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            # The server's answers name the address, so none of their text is passed on.
            if all(500 <= refused.code < 600 for refused in error.recipients):
                raise Refusal("mail_refused", "The mail server refuses the customer's address.") from None
            raise aiosmtplib.SMTPException("the mail server put the recipient off") from None
        except aiosmtplib.SMTPResponseException as error:
            raise aiosmtplib.SMTPException(f"the mail server answered {error.code}") from None


def mailer(settings: MailSettings, data_dir: Path) -> Mailer:
    return Smtp(settings) if settings.smtp_host else MailFolder(data_dir / "mail")
