"""Sessions of the console: opaque tokens, kept as hashes, looked up at every request, so that an end is at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from switchboard.clock import Clock
from switchboard.contracts.base import Actor, Origin
from switchboard.contracts.identity import SessionList, SessionView, SignedIn
from switchboard.db import DATABASE_ERRORS, Connection, Database
from switchboard.errors import NotAuthenticated, NotFound, SwitchboardError
from switchboard.ids import Ids, token
from switchboard.repeats import KEEP as KEEP_NAMED
from switchboard.sealed import Sealed

from tenant_svc.identity import repository as sql
from tenant_svc.identity.tokens import digest, new_secret
from tenant_svc.tenants.repository import PRUNE_FOUNDINGS

_log = structlog.get_logger(__name__)

LIFETIME = timedelta(days=7)
"""However busy it is."""
IDLE = timedelta(hours=24)
"""A session that nobody uses for so long is over."""
SECOND_FACTOR_WITHIN = timedelta(minutes=10)
TOUCH_AFTER = timedelta(minutes=1)
KEEP = timedelta(days=30)
"""How long it is known that a session was there."""
KEEP_LINKS = timedelta(days=1)
SWEEP_S = 3600.0


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """Whom a request comes from that a session made."""

    account_id: UUID
    session_id: UUID
    origin: Origin


class Sessions:
    def __init__(self, db: Database, ids: Ids, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock
        self._entropy = entropy

    async def open(
        self,
        conn: Connection,
        account_id: UUID,
        origin: Origin,
        *,
        second_factor: bool = False,
        ends: datetime | None = None,
    ) -> tuple[SignedIn, UUID]:
        """A new session in the caller's transaction, with its id. ``ends``: that of the session in whose place it comes."""
        secret, session_id, now = new_secret(self._entropy), self._ids.new(), self._clock.now()
        expires_at = now + (SECOND_FACTOR_WITHIN if second_factor else LIFETIME) if ends is None else ends
        stage = "second_factor" if second_factor else "full"
        row = (session_id, digest(secret), account_id, stage, now, expires_at, origin.ip, origin.user_agent)
        await conn.execute(sql.INSERT_SESSION, *row)
        _log.info("session opened", session_id=token(session_id), account_id=token(account_id), stage=stage)
        return SignedIn(token=Sealed(secret), second_factor=second_factor, expires_at=expires_at), session_id

    async def authenticate(self, token_sha256: str) -> Actor:
        """Whom a presented token stands for. :class:`NotAuthenticated` for one that is unknown, over or ended, of a
        disabled account, or still waits for its second factor."""
        now = self._clock.now()
        async with self._db.platform(readonly=True) as conn:
            row = await conn.fetchrow(sql.SELECT_SESSION, bytes.fromhex(token_sha256), now)
        if row is None or row["expires_at"] <= now or row["last_seen_at"] + IDLE <= now:
            raise NotAuthenticated("you are not signed in, or not any more; sign in")
        if row["stage"] != "full":
            raise NotAuthenticated("the second factor is missing: send its code to POST /v1/auth/second-factor")
        if now - row["last_seen_at"] >= TOUCH_AFTER:
            async with self._db.platform() as conn:
                await conn.execute(sql.TOUCH_SESSION, row["id"], now)
        return Actor(
            kind="user",
            id=token(row["account_id"]),
            tenant_id=row["tenant_id"],
            roles=(row["role"],) if row["role"] else (),
            session_id=row["id"],
            suspended=row["suspended"],
        )

    async def all_of(self, user: SignedInUser) -> SessionList:
        now = self._clock.now()
        async with self._db.platform(readonly=True) as conn:
            rows = await conn.fetch(sql.SELECT_SESSIONS, user.account_id, now, now - IDLE)
        return SessionList(
            sessions=tuple(
                SessionView(
                    session_id=row["session_id"],
                    current=row["session_id"] == user.session_id,
                    created_at=row["created_at"],
                    last_seen_at=row["last_seen_at"],
                    expires_at=row["expires_at"],
                    ip=Sealed(row["ip"]),
                    user_agent=Sealed(row["user_agent"]),
                )
                for row in rows
            )
        )

    async def end(self, user: SignedInUser, session_id: UUID) -> None:
        """One of the user's own; :class:`NotFound` for anybody else's."""
        async with self._db.platform() as conn:
            if not await conn.fetchval(sql.END_SESSION, session_id, user.account_id, self._clock.now()):
                raise NotFound
        _log.info("session ended", session_id=token(session_id), account_id=token(user.account_id))

    async def replace(self, conn: Connection, user: SignedInUser, *, and_others: bool = False) -> tuple[SignedIn, UUID]:
        """A new token in the place of the user's current one (``and_others``: of all), for as long as that had: what it may
        do changes, so who has the old one must not have the new rights."""
        held = await conn.fetchrow(sql.SELECT_OPEN_SESSION, user.session_id, user.account_id)
        if held is None:
            raise NotAuthenticated("you are not signed in any more; sign in")
        if and_others:
            await self.end_all(conn, user.account_id)
        await conn.fetchval(sql.END_SESSION, user.session_id, user.account_id, self._clock.now())
        return await self.open(conn, user.account_id, user.origin, ends=held["expires_at"])

    async def end_all(self, conn: Connection, account_id: UUID) -> None:
        """In the caller's transaction."""
        await conn.execute(sql.END_SESSIONS, account_id, self._clock.now())

    async def sweep(self) -> None:
        """:meth:`prune` now and every hour, until cancelled."""
        while True:
            try:
                await self.prune()
            except (SwitchboardError, *DATABASE_ERRORS) as error:
                _log.warning("old sessions not pruned", error=type(error).__name__)
            await asyncio.sleep(SWEEP_S)

    async def prune(self) -> None:
        """Forget sessions, links and named requests that have been over for long."""
        now = self._clock.now()
        async with self._db.platform() as conn:
            await conn.execute(sql.PRUNE_SESSIONS, now - KEEP)
            await conn.execute(sql.PRUNE_LINKS, now - KEEP_LINKS)
            await conn.execute(PRUNE_FOUNDINGS, now - KEEP_NAMED)
