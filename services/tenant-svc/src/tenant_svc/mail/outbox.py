"""Mail goes out behind the request that caused it: it is written in the transaction of what it tells of, and sent afterwards.

So no request waits for a mail server, and how long one takes says nothing about who has which address.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from switchboard.clock import Clock
from switchboard.columns import SealedColumn
from switchboard.db import DATABASE_ERRORS, Connection, Database
from switchboard.errors import SwitchboardError
from switchboard.ids import Ids
from switchboard.sealed import DataKeys as Keys
from switchboard.sealed import SealError
from switchboard.tasks import asked_to_end

from tenant_svc.mail import repository as sql
from tenant_svc.mail.models import Mail, Mailer, MailRefused
from tenant_svc.store import DataKeys

_log = structlog.get_logger(__name__)

BODY = SealedColumn("tenancy.mails", "body")
"""Sealed under the platform's key: it may hold a link that signs somebody in."""

RETRY_FIRST = timedelta(seconds=1)
RETRY_MOST = timedelta(minutes=1)
KEEP = timedelta(days=7)
"""How long it is known that a mail was sent, without what it said."""


class MailOutbox:
    """``poll_s``: seconds until mail of another copy of this process is noticed; one's own is sent at once."""

    def __init__(
        self, db: Database, keys: DataKeys, mailer: Mailer, ids: Ids, clock: Clock, poll_s: float = 1.0
    ) -> None:
        self._db = db
        self._keys = keys
        self._mailer = mailer
        self._ids = ids
        self._clock = clock
        self._poll_s = poll_s
        self._wake = asyncio.Event()
        self._prune_at: datetime | None = None

    async def add(self, conn: Connection, mail: Mail, not_after: datetime) -> None:
        """Write ``mail`` in the caller's transaction; after ``not_after`` it is not sent any more. :meth:`wake` after the
        commit."""
        mail_id, now = self._ids.new(), self._clock.now()
        body = BODY.seal(await self._keys.cipher(None), mail_id, mail.model_dump_json())
        await conn.execute(sql.INSERT_MAIL, mail_id, body, now, not_after)

    def wake(self) -> None:
        """Look now instead of at the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. A database or a mail server that is away is waited for."""
        while not asked_to_end():
            self._wake.clear()
            try:
                while await self.step():
                    pass
                await self._prune()
            except (SwitchboardError, *DATABASE_ERRORS) as error:
                _log.warning("mail waits", error=type(error).__name__)
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def step(self) -> bool:
        """Send one mail, or put it off; whether there was one."""
        now = self._clock.now()
        async with self._db.platform() as conn:
            row = await conn.fetchrow(sql.CLAIM_MAIL, now)
            if row is None:
                return False
            outcome = "too_late" if row["not_after"] <= now else await self._sent(row["id"], bytes(row["body_sealed"]))
            if outcome is None:
                wait = min(RETRY_FIRST * 2 ** min(row["attempts"], 10), RETRY_MOST)
                await conn.execute(sql.POSTPONE_MAIL, row["id"], now + wait)
            else:
                await conn.execute(sql.SETTLE_MAIL, row["id"], now, outcome)
        return True

    async def _sent(self, mail_id: UUID, sealed: bytes) -> str | None:
        """How it ended; ``None``: not yet."""
        try:
            text = BODY.open(await self._keys.cipher(None), mail_id, sealed)
            await self._mailer.send(Mail.model_validate_json(text))
        except (MailRefused, SealError) as error:
            _log.warning("mail refused", mail_id=str(mail_id), error=type(error).__name__)
            return "refused"
        except SwitchboardError as error:
            _log.warning("mail not sent yet", mail_id=str(mail_id), error=error.code)
            return None
        return "sent"

    async def _prune(self) -> None:
        now = self._clock.now()
        if self._prune_at is None or now >= self._prune_at:
            self._prune_at = now + timedelta(hours=1)
            async with self._db.platform() as conn:
                await conn.execute(sql.PRUNE_MAILS, now - KEEP)


async def reseal_mails(conn: Connection, keys: Keys) -> int:
    """What waits, under the key that seals today; how many were under another one."""
    count = 0
    for row in await conn.fetch(sql.LOCK_SEALED):
        sealed = BODY.resealed(keys, row["id"], bytes(row["body_sealed"]))
        if sealed is not None:
            await conn.execute(sql.RESEAL, row["id"], sealed)
            count += 1
    return count
