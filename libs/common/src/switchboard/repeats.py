"""Requests that are made again: who names one by a key has it done once, and gets the answer of the first time.

Answer and key are kept in the transaction of what was done, so there is never one without the other, and a restart changes
nothing. Two at the same time: the second is told that the first is in flight. Only what was done is kept: a request that was
refused did nothing, and may be made again with the same key.

::

    async with db.tenant(tenant_id) as conn:
        attempt = await repeats.attempt(conn, tenant_id, actor)
        earlier = attempt.earlier(Location)
        if earlier is not None:
            return earlier
        ...
        return await attempt.keep(location)
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from switchboard.bus.envelope import decode, encode
from switchboard.clock import Clock
from switchboard.contracts.base import Actor, Contract
from switchboard.db import DATABASE_ERRORS, Connection, Database
from switchboard.errors import FieldProblem, InFlight, InvalidInput, SwitchboardError
from switchboard.sealed import Cipher

_log = structlog.get_logger(__name__)

SCHEMAS = ("tenancy", "knowledge")
"""Where the table is (:func:`switchboard.migrate.repeats_sql`)."""

KEEP = timedelta(hours=24)
KEEP_SECRET = timedelta(minutes=10)
"""An answer that nobody is to see a second time is there for whoever lost it just now."""
SWEEP_S = 600.0

# Not a row that says "in flight": it would outlive a process that dies.
LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
SELECT_ANSWER = "SELECT request, answer FROM {schema}.repeats WHERE key = $1 AND created_at > $2"
KEEP_ANSWER = """
INSERT INTO {schema}.repeats (tenant_id, key, request, answer, created_at)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, $3, $4)
ON CONFLICT (tenant_id, key) DO UPDATE
SET request = excluded.request, answer = excluded.answer, created_at = excluded.created_at
"""
PRUNE = "SELECT {schema}.repeats_prune($1)"

ReplyT = TypeVar("ReplyT", bound=Contract)


class Keys(Protocol):
    """The keyring, as far as this needs it."""

    async def cipher(self, tenant_id: UUID | None) -> Cipher: ...


@dataclass(frozen=True, slots=True)
class Named:
    """A request with a key. ``key`` is a digest of it and of whose it is; ``request``: of all that is asked for."""

    key: bytes
    request: bytes

    @classmethod
    def of(cls, actor: Actor) -> Named | None:
        """``None`` without a key."""
        terms = actor.terms
        if terms is None or terms.key is None:
            return None
        key = hashlib.sha256(f"{actor.kind}|{actor.id}|{terms.key}".encode()).digest()
        return cls(key, bytes.fromhex(terms.request))

    async def begin(self, conn: Connection, where: str) -> None:
        """Until the end of the transaction nobody else is at this request. :class:`InFlight` when somebody is."""
        if not await conn.fetchval(LOCK, f"{where}|{self.key.hex()}"):
            raise InFlight("a request with that idempotency key is being worked on; try again when it is done")

    def check_same(self, request: bytes) -> None:
        """:class:`InvalidInput` unless ``request``, which had the key before, is this one."""
        if request != self.request:
            fix = "send a key that was not used before, or the same request again"
            problem = FieldProblem("", "the header idempotency-key names another request", fix)
            raise InvalidInput("that idempotency key was used for another request", fields=[problem])


@dataclass
class Attempt:
    """One request's transaction, as far as repetition goes. Without a key it keeps nothing."""

    _repeats: Repeats
    _conn: Connection
    _cipher: Cipher | None = None
    _named: Named = Named(b"", b"")
    _answer: bytes | None = None
    settled: bool = field(default=True)
    """False while an answer is owed: found, or kept."""

    def earlier(self, model: type[ReplyT]) -> ReplyT | None:
        """The answer of the first time; ``None``: this is the first time."""
        if self._answer is None or self._cipher is None:
            return None
        self.settled = True
        opened = self._cipher.open(self._answer, self._purpose)
        return decode(model, opened, self._cipher, self._purpose)

    async def keep(self, reply: ReplyT, lasts: timedelta = KEEP) -> ReplyT:
        """``reply``, for whoever asks again before it ``lasts`` no longer (:data:`KEEP` at most)."""
        if self._cipher is not None:
            sealed = self._cipher.seal(encode(reply, self._cipher, self._purpose), self._purpose)
            await self._repeats._keep(self._conn, self._named, sealed, lasts)
        self.settled = True
        return reply

    @property
    def _purpose(self) -> str:
        return f"repeat|{self._named.key.hex()}"


class Repeats:
    """One per service with something to create."""

    def __init__(self, schema: str, keys: Keys, clock: Clock) -> None:
        self._schema = schema
        self._keys = keys
        self._clock = clock

    async def attempt(self, conn: Connection, tenant_id: UUID, actor: Actor) -> Attempt:
        """For the first thing in a transaction, before anything is waited for.

        :class:`InFlight` while the first one is at work, :class:`InvalidInput` for another request under its key.
        """
        named = Named.of(actor)
        if named is None:
            return Attempt(self, conn)
        await named.begin(conn, f"{self._schema}.repeats|{tenant_id.hex}")
        found = await conn.fetchrow(SELECT_ANSWER.format(schema=self._schema), named.key, self._clock.now() - KEEP)
        if found is not None:
            named.check_same(bytes(found["request"]))
        cipher = await self._keys.cipher(tenant_id)
        answer = None if found is None else bytes(found["answer"])
        return Attempt(self, conn, cipher, named, answer, settled=False)

    async def _keep(self, conn: Connection, named: Named, answer: bytes, lasts: timedelta) -> None:
        # Dated back when it lasts less, so that one look-up and one sweep do for all.
        since = self._clock.now() - (KEEP - lasts)
        await conn.execute(KEEP_ANSWER.format(schema=self._schema), named.key, named.request, answer, since)

    async def sweep(self, db: Database, every_s: float = SWEEP_S) -> None:
        """Forgets what is older than :data:`KEEP`, for ever; runs as long as its process."""
        while True:
            try:
                await self.prune(db)
            except (SwitchboardError, *DATABASE_ERRORS) as error:
                _log.warning("kept answers were not swept", error=type(error).__name__)
            await asyncio.sleep(every_s)

    async def prune(self, db: Database) -> int:
        """How many were forgotten, of all tenants."""
        async with db.platform() as conn:
            return int(await conn.fetchval(PRUNE.format(schema=self._schema), self._clock.now() - KEEP))
