"""Replacing keys while calls go on: the master key under everything, or the tenants' data keys.

One tenant after the other, each in a short transaction, and what is done is seen in what is stored: a run that was killed is
begun again with the same arguments and goes on where it stopped. The bucket is written inside of the transaction: when its
commit fails, the bucket holds the same keys in another wrapping, or a coming one that has sealed nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.clock import Clock
from switchboard.db import Connection, Database
from switchboard.errors import InvalidInput
from switchboard.keyring import FRESH_SECONDS, UNCONFIRMED_SECONDS, Keyring
from switchboard.sealed import DataKeys
from switchboard.wrapped import parse

from tenant_svc.audit import repository as audit_sql
from tenant_svc.audit.chains import key_purpose
from tenant_svc.pages import SIZE, pages
from tenant_svc.rotation import repository as sql

SETTLE_SECONDS = FRESH_SECONDS + UNCONFIRMED_SECONDS + 10.0
"""After that, every process that is on the bus has read what the bucket says."""

Reseal = Callable[[Connection, DataKeys], Awaitable[int]]
"""Brings the credentials of the transaction's tenant under the key that seals; how many were under another one."""

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many wrapped keys, and credentials of the platform, were under an older master key, and are under the one in
    force now."""

    tenants: int = 0
    data_keys: int = 0
    audit_keys: int = 0
    credentials: int = 0


@dataclass(frozen=True, slots=True)
class Renewed:
    """New data keys that were made, that have begun to seal, and credentials that were sealed anew."""

    tenants: int = 0
    made: int = 0
    promoted: int = 0
    credentials: int = 0


class Rotation:
    """``reseals``: all columns with credentials, each with its own."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        reseals: tuple[Reseal, ...],
        clock: Clock,
        settle_s: float = SETTLE_SECONDS,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._reseals = reseals
        self._clock = clock
        self._settle_s = settle_s
        self._pause = pause

    async def master(self, platform: tuple[Reseal, ...] = ()) -> Rewrapped:
        """Everything that a master key wraps, under the one in force. Needs the older one among the others.

        ``platform``: all columns that are sealed under the platform's key.
        """
        tenants = data_keys = audit_keys = 0
        async for row in pages(self._tenants):
            data, audit = await self._rewrap(row["tenant_id"])
            tenants, data_keys, audit_keys = tenants + 1, data_keys + data, audit_keys + audit
        keys = await self._keyring.cipher(None)
        credentials = 0
        for reseal in platform:
            async with self._db.platform() as conn:
                credentials += await reseal(conn, keys)
        return Rewrapped(tenants, data_keys, audit_keys, credentials)

    async def data_keys(self, made_before: datetime) -> Renewed:
        """A new data key for each tenant whose newest is older than ``made_before`` (or of unknown age).

        In three passes with a pause between them: make it known, let it seal, bring the credentials under it. What was
        sealed with the older keys (documents, streams) stays readable, because they are kept for opening.
        """
        if made_before > self._clock.now():
            raise InvalidInput("made_before must not be in the future: a run that is begun again would begin anew")
        moment = int(made_before.timestamp())
        tenants = made = promoted = credentials = 0
        async for row in pages(self._tenants):
            tenants += 1
            made += await self._change(row["tenant_id"], lambda tenant, held: self._coming(tenant, held, moment))
        await self._pause(self._settle_s)
        async for row in pages(self._tenants):
            promoted += await self._change(row["tenant_id"], _promotion)
        await self._pause(self._settle_s)
        async for row in pages(self._tenants):
            credentials += await self._reseal(row["tenant_id"])
        return Renewed(tenants, made, promoted, credentials)

    async def _rewrap(self, tenant_id: UUID) -> tuple[int, int]:
        data = await self._change(tenant_id, self._keyring.rewrapped)
        purpose = key_purpose(tenant_id)
        async with self._db.tenant(tenant_id) as conn:
            chain = await conn.fetchrow(audit_sql.LOCK_CHAIN)
            if chain is None or self._keyring.is_current(bytes(chain["key_wrapped"]), purpose):
                return data, 0
            rewrapped = self._keyring.rewrap(bytes(chain["key_wrapped"]), purpose)
            await conn.execute(sql.UPDATE_CHAIN_KEY, rewrapped)
        return data, 1

    async def _change(self, tenant_id: UUID, changed: Callable[[UUID, bytes], bytes | None]) -> int:
        """Put ``changed`` keys in the place of what is stored, in the database and in the bucket; 1 when it was done."""
        async with self._db.tenant(tenant_id) as conn:
            held = await conn.fetchval(sql.LOCK_DATA_KEY)
            wanted = None if held is None else changed(tenant_id, bytes(held))
            if wanted is None:
                return 0  # done already, or erased meanwhile
            await conn.execute(sql.UPDATE_DATA_KEY, wanted)
            await self._keyring.publish(tenant_id, wanted)
        return 1

    def _coming(self, tenant_id: UUID, held: bytes, moment: int) -> bytes | None:
        if max(key.made_at for key in parse(held)) >= moment:
            return None  # by this run before it was killed, or by another one
        return self._keyring.with_coming(tenant_id, held, self._clock.now())

    async def _reseal(self, tenant_id: UUID) -> int:
        async with self._db.tenant(tenant_id) as conn:
            held = await conn.fetchval(sql.LOCK_DATA_KEY)
            if held is None:
                return 0
            keys = self._keyring.opened(tenant_id, bytes(held))
            return sum([await reseal(conn, keys) for reseal in self._reseals])

    async def _tenants(self, after: UUID) -> Sequence[Any]:
        async with self._db.platform(readonly=True) as conn:
            return await conn.fetch(sql.SELECT_TENANTS, after, SIZE)


def _promotion(_tenant_id: UUID, held: bytes) -> bytes | None:
    """A key at the end that is younger than the one that seals has waited for this."""
    keys = parse(held)
    return Keyring.promoted(held) if keys[-1].made_at > keys[0].made_at else None
