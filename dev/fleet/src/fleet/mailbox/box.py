"""What came in, and the SMTP server that takes it."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

KEPT = 500
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Received:
    """One mail to one recipient; `links` are the addresses in its text."""

    number: int
    to: str
    sender: str
    subject: str
    text: str
    at: datetime
    links: tuple[str, ...] = ()


@dataclass
class Mailbox:
    """The newest mails, in memory. `refuses` are recipients that are answered 550; `away` answers 451 to everything."""

    mails: deque[Received] = field(default_factory=lambda: deque(maxlen=KEPT))
    refuses: set[str] = field(default_factory=set)
    away: bool = False
    count: int = 0
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.away:
            return "451 4.3.0 not now"
        if self.refuses.intersection(envelope.rcpt_tos):
            return "550 5.1.1 no such mailbox"
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        text = message.get_content()
        for recipient in envelope.rcpt_tos:
            self.count += 1
            subject, links = str(message["subject"]), tuple(_LINK.findall(text))
            sender = envelope.mail_from or ""
            self.mails.append(Received(self.count, recipient, sender, subject, text, datetime.now(UTC), links))
        async with self._arrived:
            self._arrived.notify_all()
        return "250 2.0.0 taken"

    def to(self, recipient: str, after: int = 0) -> list[Received]:
        """The mails to that address with a higher number, oldest first."""
        wanted = recipient.lower()
        return [mail for mail in self.mails if mail.to.lower() == wanted and mail.number > after]

    async def wait(self, recipient: str, after: int = 0, seconds: float = 20.0) -> Received:
        """The next mail to that address; TimeoutError when none comes."""
        async with asyncio.timeout(seconds), self._arrived:
            while not (found := self.to(recipient, after)):
                await self._arrived.wait()
        return found[0]

    async def link_to(self, address: str, after: int = 0) -> str:
        """What stands behind the # of the link in the newest mail to that address; waits for one."""
        await self.wait(address, after)
        return self.to(address, after)[-1].links[-1].partition("#")[2]


@asynccontextmanager
async def smtp(mailbox: Mailbox, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Takes mail into `mailbox`; the port it listens on."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, enable_SMTPUTF8=True), host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
