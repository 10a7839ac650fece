"""The audit: one thin row for each write, in the transaction of the write. Never changed afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from switchboard.contracts.base import Actor
from switchboard.db import Connection

INSERT_AUDIT = """
INSERT INTO tenancy.audit (tenant_id, id, at, actor_kind, actor_id, action, subject)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, $3, $4, $5, $6)
"""

Action = Literal[
    "tenant.signed_up",
    "tenant.published",
    "tenant.went_live",
    "tenant.paused",
    "tenant.suspended",
    "tenant.resumed",
    "location.added",
    "holidays.set",
    "number.added",
    "trunk.added",
    "agent.set",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """``subject`` is an id or a version: no name, no number, no address."""

    id: UUID
    at: datetime
    actor: Actor
    action: Action
    subject: str = ""


async def record(conn: Connection, entry: Entry) -> None:
    """In the tenant transaction of what it tells of."""
    actor = entry.actor
    await conn.execute(INSERT_AUDIT, entry.id, entry.at, actor.kind, actor.id, entry.action, entry.subject)
