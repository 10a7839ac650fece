"""Requests that found a tenant and are made again. No tenant can keep their answer: there is none yet, and the next one is
another. So their account does, beside the tenant that it names, in the transaction that founds it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from switchboard.contracts.base import Actor
from switchboard.db import Connection
from switchboard.repeats import KEEP, Named

from tenant_svc.tenants import repository as sql


class Founding:
    """One request of ``account_id``, whose ``actor`` may name it by a key."""

    def __init__(self, conn: Connection, account_id: UUID, actor: Actor, now: datetime) -> None:
        self._conn = conn
        self._account_id = account_id
        self._named = Named.of(actor)
        self._now = now

    async def earlier(self) -> UUID | None:
        """The tenant of the first time, for the first thing in a transaction; refuses as
        :meth:`switchboard.repeats.Repeats.attempt` does."""
        if self._named is None:
            return None
        await self._named.begin(self._conn, "tenancy.foundings")
        found = await self._conn.fetchrow(sql.SELECT_FOUNDING, self._account_id, self._named.key, self._now - KEEP)
        if found is None:
            return None
        self._named.check_same(bytes(found["request"]))
        return UUID(str(found["founded"]))

    async def keep(self, tenant_id: UUID) -> None:
        """``tenant_id``, for whoever asks again."""
        if self._named is not None:
            row = (self._account_id, self._named.key, self._named.request, tenant_id, self._now)
            await self._conn.execute(sql.KEEP_FOUNDING, *row)
