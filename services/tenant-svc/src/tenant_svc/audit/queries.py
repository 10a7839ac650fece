"""Reading the audit, for the tenant whose it is."""

from __future__ import annotations

import re
from uuid import UUID

from asyncpg import Record
from switchboard.contracts.audit import AuditLine, AuditList
from switchboard.contracts.base import Page
from switchboard.db import Database
from switchboard.errors import FieldProblem, InvalidInput
from switchboard.sealed import Sealed

from tenant_svc.audit import repository as sql

_NEWEST = 2**63 - 1
_CURSOR = re.compile(r"l([1-9][0-9]{0,17})")


class Lines:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, tenant_id: UUID, page: Page) -> AuditList:
        """Newest first; a page is not moved by lines that are written meanwhile."""
        before = _NEWEST if page.cursor is None else _parsed(page.cursor)
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            rows = await conn.fetch(sql.SELECT_NEWEST, before, page.limit + 1)
        shown = rows[: page.limit]
        more = f"l{shown[-1]['seq']}" if len(rows) > page.limit else None
        return AuditList(lines=tuple(_line(row) for row in shown), next_cursor=more)


def _parsed(cursor: str) -> int:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        problem = FieldProblem("/cursor", "not a cursor of this list", "send next_cursor of the page before, unchanged")
        raise InvalidInput("cursor is wrong", fields=(problem,))
    return int(match[1])


def _line(row: Record) -> AuditLine:
    return AuditLine(
        seq=row["seq"],
        id=row["id"],
        at=row["at"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        actor_roles=tuple(row["actor_roles"]),
        action=row["action"],
        resource_kind=row["resource_kind"],
        resource_id=row["resource_id"],
        service=row["service"],
        ip=Sealed(row["ip"]),
        user_agent=Sealed(row["user_agent"]),
        request_id=row["request_id"],
        trace_id=row["trace_id"],
        before=None if row["state_before"] is None else Sealed(row["state_before"]),
        after=None if row["state_after"] is None else Sealed(row["state_after"]),
        hash=bytes(row["hash"]).hex(),
    )
