"""Verifying the audit: every chain from its first line to its anchored head."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from switchboard.clock import Clock
from switchboard.db import Connection, Database
from switchboard.sealed import SealError

from tenant_svc.audit import repository as sql
from tenant_svc.audit.anchors import Anchors
from tenant_svc.audit.chain import Head, Walk
from tenant_svc.audit.chains import Wrapping, key_purpose
from tenant_svc.pages import SIZE, pages

LINES = 500


@dataclass(frozen=True, slots=True)
class Verified:
    """One tenant's chain: how many lines held, and the first thing that is wrong ("": nothing)."""

    tenant_id: UUID
    lines: int
    problem: str = ""
    unanchored: int = 0
    """Lines at the end that hold, and that the anchor has not reached: written a moment ago, or the bus was away."""


class Verification:
    """Reads only. Safe at any time beside running services."""

    def __init__(self, db: Database, anchors: Anchors, keys: Wrapping, clock: Clock) -> None:
        self._clock = clock
        self._db = db
        self._anchors = anchors
        self._keys = keys

    async def all(self) -> AsyncIterator[Verified]:
        """Every tenant there is, has a chain, or has an anchor."""
        anchored = set(await self._anchors.tenants())
        async for row in pages(self._tenants):
            anchored.discard(row["tenant_id"])
            yield await self.one(row["tenant_id"])
        for tenant_id in sorted(anchored):
            yield await self.one(tenant_id)

    async def one(self, tenant_id: UUID) -> Verified:
        # The anchor first: what is written afterwards is in the table then, never the other way round.
        anchor = await self._anchors.of(tenant_id)
        async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            return await self._verified(conn, tenant_id, anchor)

    async def _verified(self, conn: Connection, tenant_id: UUID, anchor: Head | None) -> Verified:
        found = await conn.fetchrow(sql.SELECT_CHAIN)
        if found is None:
            return await _without_chain(conn, tenant_id, anchor)
        try:
            key = self._keys.unwrap(bytes(found["key_wrapped"]), key_purpose(tenant_id))
        except SealError:
            return Verified(tenant_id, 0, "the chain's key is not one that this master key wrapped for this tenant")
        walk = Walk(key, anchor)
        rows = await conn.fetch(sql.SELECT_LINES, 0, LINES)
        while rows and walk.take(map(dict, rows)):
            rows = await conn.fetch(sql.SELECT_LINES, walk.at.seq, LINES)
        walk.end(Head(int(found["seq"]), bytes(found["hash"])), self._clock.now())
        return Verified(tenant_id, walk.at.seq, walk.problem, walk.unanchored)

    async def _tenants(self, after: UUID) -> Sequence[Any]:
        async with self._db.platform(readonly=True) as conn:
            return await conn.fetch(sql.SELECT_AUDITED, after, SIZE)


async def _without_chain(conn: Connection, tenant_id: UUID, anchor: Head | None) -> Verified:
    """Of before there were chains, or of nobody; unless something says that there was one."""
    if anchor is not None:
        return Verified(tenant_id, 0, f"the whole chain is missing: line {anchor.seq} was anchored")
    if await conn.fetch(sql.SELECT_LINES, 0, 1):
        return Verified(tenant_id, 0, "there are lines, but tenancy.audit_chains has no chain for them")
    return Verified(tenant_id, 0)
