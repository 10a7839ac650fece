"""Questions about records, for the tenant that owns them."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from switchboard.contracts.base import Page
from switchboard.contracts.calls import (
    CallList,
    CallRecord,
    CallSummary,
    Hypothesis,
    PassageUsed,
    TurnRecord,
    TurnTimings,
)
from switchboard.contracts.providers import ProviderFault
from switchboard.db import Connection, Database
from switchboard.errors import FieldProblem, InvalidId, InvalidInput, NotFound
from switchboard.ids import parse_token, token
from switchboard.sealed import Sealed

from call_orchestrator.calls import repository
from call_orchestrator.calls.models import CallRow


def encode_cursor(started_at: datetime, call_id: UUID) -> str:
    """Where the next page goes on; opaque to whoever holds it."""
    raw = json.dumps([started_at.isoformat(), token(call_id)], separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """:class:`InvalidInput` for anything that :func:`encode_cursor` did not make."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        at, call_id = json.loads(raw)
        started_at = datetime.fromisoformat(at)
        if started_at.tzinfo is None:
            raise ValueError("naive")
        return started_at, parse_token(call_id, "cursor")
    except (ValueError, TypeError, binascii.Error, InvalidId, UnicodeError):
        problem = FieldProblem("/cursor", "not a cursor of this list", "send next_cursor of the page before, unchanged")
        raise InvalidInput("cursor is wrong", fields=(problem,)) from None


def summary(row: CallRow) -> CallSummary:
    details, life = row.details, row.life
    return CallSummary(
        call_id=row.id,
        state=life.state,
        caller=None if details.caller is None else Sealed(details.caller),
        dialled=None if details.dialled is None else Sealed(details.dialled),
        started_at=row.started_at,
        answered_at=life.answered_at,
        ended_at=life.ended_at,
        end_reason=life.end_reason,
        outcome=None if details.decision is None else details.decision.outcome,
        configuration_version=row.configuration_version,
        degraded=row.degraded,
        turns=row.turns,
    )


def _turn(row: Record) -> TurnRecord:
    return TurnRecord(
        turn=row["turn"],
        epoch=row["epoch"],
        kind=row["kind"],
        caller_said=tuple(Hypothesis(text=Sealed(h["text"]), confidence=h["confidence"]) for h in row["caller_said"]),
        agent_said=Sealed(row["agent_said"]),
        agent_heard=Sealed(row["agent_heard"]),
        interrupted=row["interrupted"],
        passages=tuple(PassageUsed.model_validate(passage) for passage in row["passages"]),
        timings=TurnTimings.model_validate(row["timings"]),
        faults=tuple(ProviderFault.model_validate(fault) for fault in row["faults"]),
    )


class Queries:
    """Reads under the tenant's row-level security: another tenant's call is not there."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(self, tenant_id: UUID, call_id: UUID) -> CallRecord:
        """The call with its turns in order. :class:`NotFound`."""
        async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            row = await self._get(conn, call_id)
            turns = await repository.turns(conn, row.id)
        return CallRecord(summary=summary(row), turns=tuple(_turn(turn) for turn in turns))

    async def page(self, tenant_id: UUID, page: Page) -> CallList:
        """Newest first."""
        after = None if page.cursor is None else decode_cursor(page.cursor)
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            rows = await repository.page(conn, after, page.limit + 1)
        shown = rows[: page.limit]
        more = len(rows) > page.limit
        cursor = encode_cursor(shown[-1].started_at, shown[-1].id) if more else None
        return CallList(calls=tuple(summary(row) for row in shown), next_cursor=cursor)

    @staticmethod
    async def _get(conn: Connection, call_id: UUID) -> CallRow:
        row = await repository.get(conn, call_id)
        if row is None:
            raise NotFound("there is no such call")
        return row
