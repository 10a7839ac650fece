"""Writing the audit: a line in the transaction of what it tells of, and a fact about it for the anchor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from switchboard.audit import Line, state_text
from switchboard.contracts.audit import AuditAppended, AuditRecorded
from switchboard.contracts.base import Actor, Fact, Origin, Service
from switchboard.db import Connection
from switchboard.ids import Ids, token
from switchboard.telemetry import trace_ids

from tenant_svc.audit import repository as sql
from tenant_svc.audit.chain import FIRST_HASH, Head, digest

_KEY_BYTES = 32

Tell = Callable[[Connection, Fact], Awaitable[None]]
"""Puts a fact into the outbox."""


class Wrapping(Protocol):
    """The keyring, as far as keys of chains need it."""

    def wrap(self, key: bytes, purpose: str) -> bytes: ...

    def unwrap(self, wrapped: bytes, purpose: str) -> bytes: ...


def key_purpose(tenant_id: UUID) -> str:
    """What a wrapped key of a chain is bound to."""
    return f"audit-key|{token(tenant_id)}"


class Chains:
    """Appends to a tenant's chain, in its transaction. Lines of one tenant wait for each other, and for nobody else."""

    def __init__(self, keys: Wrapping, tell: Tell, ids: Ids, entropy: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._tell = tell
        self._ids = ids
        self._entropy = entropy

    async def append(self, conn: Connection, tenant_id: UUID, actor: Actor, line: Line, at: datetime) -> None:
        """What this service did itself."""
        origin = actor.origin or Origin()
        row = {
            "id": self._ids.new(),
            "at": at,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
            "actor_roles": sorted(actor.roles),
            "action": line.action,
            "resource_kind": line.resource.kind,
            "resource_id": line.resource.id,
            "service": Service.TENANT_SVC.value,
            "ip": origin.ip,
            "user_agent": origin.user_agent,
            "request_id": origin.request_id,
            "trace_id": trace_ids().get("trace_id", ""),
            "state_before": state_text(line.before),
            "state_after": state_text(line.after),
        }
        await self._add(conn, tenant_id, row)

    async def append_told(self, conn: Connection, message_id: UUID, fact: AuditRecorded) -> None:
        """What another service did; the message's id becomes the line's."""
        row = {
            "id": message_id,
            "at": fact.at,
            "actor_kind": fact.actor_kind,
            "actor_id": fact.actor_id,
            "actor_roles": sorted(fact.actor_roles),
            "action": fact.action,
            "resource_kind": fact.resource_kind,
            "resource_id": fact.resource_id,
            "service": fact.service.value,
            "ip": str(fact.ip or ""),
            "user_agent": str(fact.user_agent or ""),
            "request_id": fact.request_id,
            "trace_id": fact.trace_id,
            "state_before": None if fact.before is None else str(fact.before),
            "state_after": None if fact.after is None else str(fact.after),
        }
        await self._add(conn, fact.tenant_id, row)

    async def _add(self, conn: Connection, tenant_id: UUID, row: dict[str, Any]) -> None:
        key, head = await self._locked(conn, tenant_id)
        head = await _insert(conn, tenant_id, key, head, row)
        await conn.execute(sql.ADVANCE_CHAIN, head.seq, head.hash)
        await self._tell(conn, AuditAppended(tenant_id=tenant_id, at=row["at"], seq=head.seq))

    async def _locked(self, conn: Connection, tenant_id: UUID) -> tuple[bytes, Head]:
        """The chain's key and where it has got to, locked; begun now when there is none, with the lines of before."""
        found = await conn.fetchrow(sql.LOCK_CHAIN)
        begun = False
        if found is None:
            wrapped = self._keys.wrap(self._entropy(_KEY_BYTES), key_purpose(tenant_id))
            begun = bool(await conn.fetchval(sql.BEGIN_CHAIN, wrapped, FIRST_HASH))
            found = await conn.fetchrow(sql.LOCK_CHAIN)
            assert found is not None
        key = self._keys.unwrap(bytes(found["key_wrapped"]), key_purpose(tenant_id))
        head = Head(int(found["seq"]), bytes(found["hash"]))
        return key, await _taken_over(conn, tenant_id, key, head) if begun else head


async def _taken_over(conn: Connection, tenant_id: UUID, key: bytes, head: Head) -> Head:
    """The lines that this tenant had before there were chains."""
    for earlier in await conn.fetch(sql.SELECT_EARLIER):
        row = {
            "id": earlier["id"],
            "at": earlier["at"],
            "actor_kind": earlier["actor_kind"],
            "actor_id": earlier["actor_id"],
            "actor_roles": [],
            "action": earlier["action"],
            "resource_kind": str(earlier["action"]).partition(".")[0],
            "resource_id": earlier["subject"],
            "service": Service.TENANT_SVC.value,
            **dict.fromkeys(("ip", "user_agent", "request_id", "trace_id"), ""),
            **dict.fromkeys(("state_before", "state_after")),
        }
        head = await _insert(conn, tenant_id, key, head, row)
    return head


async def _insert(conn: Connection, tenant_id: UUID, key: bytes, head: Head, row: dict[str, Any]) -> Head:
    seq = head.seq + 1
    hashed = digest(key, {**row, "tenant_id": tenant_id, "seq": seq}, head.hash)
    await conn.execute(sql.INSERT_LINE, seq, *row.values(), head.hash, hashed)
    return Head(seq, hashed)
