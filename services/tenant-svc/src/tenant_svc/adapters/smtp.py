"""Mail by SMTP."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import Field, SecretStr
from switchboard.clock import Clock
from switchboard.errors import Unavailable
from switchboard.ids import Ids
from switchboard.settings import Fragment, secret_url

from tenant_svc.mail.models import Mail, MailRefused

TIMEOUT_S = 10.0
_PORTS = {"smtp": 587, "smtps": 465}


class SmtpSettings(Fragment):
    """The mail server."""

    url: Annotated[SecretStr, secret_url("smtp", "smtps")] = Field(
        description="smtp://user:password@host:587, or smtps:// for TLS from the first byte"
    )
    starttls: Literal["required", "never"] = Field("required", description="for smtp://; never only on one machine")
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", description="address that mail comes from")


class Smtp:
    """One connection per mail: they are few, and a connection that was left open is what servers cut."""

    def __init__(self, settings: SmtpSettings, ids: Ids, clock: Clock) -> None:
        parts = urlsplit(settings.url.get_secret_value())
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._tls = parts.scheme == "smtps"
        self._starttls = parts.scheme == "smtp" and settings.starttls == "required"
        self._sender = settings.sender
        self._ids = ids
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        """See :class:`tenant_svc.mail.models.Mailer`."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate(self._clock.now().timestamp())
        message["Message-ID"] = f"<{self._ids.new().hex}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        try:
            await aiosmtplib.send(
                message,
                sender=self._sender,
                recipients=[mail.to],
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                start_tls=self._starttls,
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = {refused.code for refused in error.recipients}
            raise _failed(min(codes, default=550)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _failed(error.code) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            raise Unavailable("the mail server does not answer") from None
        except (ValueError, UnicodeError):
            # An address that no mail can be sent to.
            raise MailRefused("the address can't be written in a mail") from None


def _failed(code: int) -> Exception:
    """By RFC 5321: 4yz may be tried again, 5yz not. The server's text is not kept: it repeats the address."""
    return Unavailable(f"the mail server answered {code}") if code < 500 else MailRefused(f"it answered {code}")
