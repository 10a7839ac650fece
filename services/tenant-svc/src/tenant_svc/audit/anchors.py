"""The heads of the chains outside of the database: one entry per tenant in the bucket ``audit-heads``.

An anchor only moves forward, and only from a line that still stands in the table with the hash that was anchored. Who cut
lines off, or began a chain anew, meets an anchor that stays where it was: the next verification names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import structlog
from pydantic import ValidationError
from switchboard.bus import Delivery
from switchboard.bus.kv import Entry
from switchboard.contracts.audit import AuditAppended, AuditHead
from switchboard.db import Connection, Database
from switchboard.errors import Conflict
from switchboard.ids import parse_token, token

from tenant_svc.audit import repository as sql
from tenant_svc.audit.chain import Head

_log = structlog.get_logger(__name__)
_ATTEMPTS = 5


class Heads(Protocol):
    """The bucket."""

    async def entry(self, key: str) -> Entry | None: ...

    async def compare_and_set(self, key: str, value: bytes, revision: int) -> None: ...

    async def purge(self, key: str) -> None: ...

    async def keys(self) -> list[str]: ...


def _nobody() -> None:
    return


class Anchors:
    """``refused`` is called when an anchor can't move because the table no longer holds what it names, for a metric."""

    def __init__(self, db: Database, bucket: Heads, refused: Callable[[], None] = _nobody) -> None:
        self._db = db
        self._bucket = bucket
        self._refused = refused

    async def on_appended(self, fact: AuditAppended, _delivery: Delivery) -> None:
        """Repeated, late or out of order, the fact does no harm: the anchor never moves back."""
        await self.advance(fact.tenant_id, fact.seq)

    async def advance(self, tenant_id: UUID, seq: int) -> bool:
        """Anchor line ``seq``; whether the anchor is there now, or was further on already."""
        for _ in range(_ATTEMPTS):
            entry = await self._bucket.entry(token(tenant_id))
            anchored = None if entry is None else _head(entry.value)
            async with self._db.tenant(tenant_id, readonly=True) as conn:
                head = await _line(conn, seq)
                kept = anchored is None or await _line(conn, anchored.seq) == anchored
            if head is None and not await self._is_there(tenant_id):
                return False  # erased meanwhile
            if head is None or not kept:
                self._refused()
                _log.error("audit anchor refused: the chain is not what was anchored", tenant_id=tenant_id.hex, seq=seq)
                return False
            if anchored is not None and anchored.seq >= seq:
                return True
            try:
                await self._bucket.compare_and_set(token(tenant_id), _value(head), entry.revision if entry else 0)
            except Conflict:
                continue
            return True
        raise Conflict("this tenant's audit head is being written by too many at once")

    async def of(self, tenant_id: UUID) -> Head | None:
        """``None``: nothing is anchored."""
        entry = await self._bucket.entry(token(tenant_id))
        return None if entry is None else _head(entry.value)

    async def tenants(self) -> list[UUID]:
        """Everybody with an anchor."""
        return [parse_token(key, "tenant") for key in await self._bucket.keys()]

    async def forget(self, tenant_id: UUID) -> None:
        await self._bucket.purge(token(tenant_id))

    async def _is_there(self, tenant_id: UUID) -> bool:
        async with self._db.tenant(tenant_id) as conn:
            return bool(await conn.fetchval(sql.LOCK_TENANT))


def _value(head: Head) -> bytes:
    return AuditHead(seq=head.seq, hash=head.hash.hex()).model_dump_json().encode()


def _head(value: bytes) -> Head:
    """What can't be read is nobody's line: it holds the anchor where it is."""
    try:
        found = AuditHead.model_validate_json(value)
    except ValidationError:
        return Head(0, b"")
    return Head(found.seq, bytes.fromhex(found.hash))


async def _line(conn: Connection, seq: int) -> Head | None:
    found = await conn.fetchval(sql.SELECT_HASH, seq)
    return None if found is None else Head(seq, bytes(found))
