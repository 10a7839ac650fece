"""SQL of the call record. Each function works in the transaction it is given, which names the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record
from switchboard.contracts.calls import CallState, ConversationSaved, EndReason, TurnRecorded
from switchboard.db import Connection

from call_orchestrator.calls.machine import Call
from call_orchestrator.calls.models import CallDetails, CallRow, LiveCall, StoredDecision

_COLUMNS = """tenant_id, id, room_sid, room_name, sip_call_id, trunk, carrier_account, dialled, caller, job_id,
  media_cell, state, epoch, claimed_at, position_epoch, position_seq, lease_expires_at, decision, configuration_version,
  degraded, started_at, answered_at, ended_at, end_reason, events, turns"""

SELECT_CALL = f"SELECT {_COLUMNS} FROM calls.calls WHERE id = $1 OR degraded_id = $1"
SELECT_CALL_FOR_UPDATE = f"{SELECT_CALL} FOR UPDATE"
SELECT_ROOM_FOR_UPDATE = f"SELECT {_COLUMNS} FROM calls.calls WHERE room_sid = $1 OR degraded_id = $2 FOR UPDATE"
SELECT_PAGE = f"""SELECT {_COLUMNS} FROM calls.calls
WHERE $1::timestamptz IS NULL OR (started_at, id) < ($1, $2::uuid) ORDER BY started_at DESC, id DESC LIMIT $3"""
SELECT_TURNS = """SELECT epoch, turn, kind, caller_said, agent_said, agent_heard, interrupted, passages, timings,
  faults
FROM calls.turns WHERE call_id = $1 ORDER BY turn, epoch"""
CALL_BY_ROOM = "SELECT tenant_id, id FROM calls.call_by_room($1, $2)"
LIVE_CALLS = "SELECT * FROM calls.live_calls()"

# Calls that are only told that all lines are busy don't take a line themselves.
COUNT_LIVE = """SELECT count(*) FROM calls.calls
WHERE state IN ('admitted', 'talking', 'holding', 'transferring') AND outcome IS DISTINCT FROM 'notice'
  AND room_sid IS DISTINCT FROM $1"""

# Two calls of one tenant that come at once must not both take its last line.
LOCK_ADMISSION = "SELECT pg_advisory_xact_lock(hashtext('calls.admission'), hashtext($1))"

INSERT_CALL = """INSERT INTO calls.calls (tenant_id, id, degraded_id, room_sid, state, started_at, degraded)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, $3, 'ringing', $4, $5)
ON CONFLICT DO NOTHING RETURNING id"""

NAME_ROOM = """UPDATE calls.calls SET room_sid = $2 WHERE id = $1 AND room_sid IS NULL
AND NOT EXISTS (SELECT 1 FROM calls.call_by_room($2, NULL))"""

FILL_DETAILS = """UPDATE calls.calls SET
  room_name = COALESCE(room_name, $2), sip_call_id = COALESCE(sip_call_id, $3), trunk = COALESCE(trunk, $4),
  carrier_account = COALESCE(carrier_account, $5), dialled = COALESCE(dialled, $6), caller = COALESCE(caller, $7),
  job_id = COALESCE($8, job_id), media_cell = COALESCE($9, media_cell), outcome = COALESCE($10, outcome),
  decision = COALESCE($11, decision), configuration_version = COALESCE($12, configuration_version)
WHERE id = $1"""

SAVE_LIFE = """UPDATE calls.calls SET state = $2, epoch = $3, claimed_at = $4, position_epoch = $5, position_seq = $6,
  lease_expires_at = $7, answered_at = $8, ended_at = $9, end_reason = $10
WHERE id = $1"""

SET_CONFIGURATION = """UPDATE calls.calls SET configuration_version = COALESCE(configuration_version, $2),
  degraded = degraded OR $3 WHERE id = $1"""

NEXT_EVENT = "UPDATE calls.calls SET events = events + 1 WHERE id = $1 RETURNING events"

INSERT_EVENT = """INSERT INTO calls.call_events
  (tenant_id, call_id, source, epoch, seq, kind, verdict, state, at, received_at, detail)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING RETURNING true"""

EVENT_EXISTS = """SELECT EXISTS (
  SELECT 1 FROM calls.call_events WHERE call_id = $1 AND source = $2 AND epoch = $3 AND seq = $4)"""

UPSERT_TURN = """INSERT INTO calls.turns
  (tenant_id, call_id, epoch, turn, seq, kind, at, caller_said, agent_said, agent_heard, interrupted, passages,
   receipts, timings, faults)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
  $14)
ON CONFLICT (tenant_id, call_id, epoch, turn) DO UPDATE SET seq = EXCLUDED.seq, kind = EXCLUDED.kind,
  at = EXCLUDED.at, caller_said = EXCLUDED.caller_said, agent_said = EXCLUDED.agent_said,
  agent_heard = EXCLUDED.agent_heard, interrupted = EXCLUDED.interrupted, passages = EXCLUDED.passages,
  receipts = EXCLUDED.receipts, timings = EXCLUDED.timings, faults = EXCLUDED.faults
WHERE calls.turns.seq < EXCLUDED.seq"""

COUNT_TURNS = """UPDATE calls.calls SET turns = (SELECT count(*) FROM calls.turns WHERE call_id = $1) WHERE id = $1"""

UPSERT_CONVERSATION = """INSERT INTO calls.conversations (tenant_id, call_id, epoch, seq, turn, state, saved_at)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, call_id) DO UPDATE SET epoch = EXCLUDED.epoch, seq = EXCLUDED.seq, turn = EXCLUDED.turn,
  state = EXCLUDED.state, saved_at = EXCLUDED.saved_at
WHERE (calls.conversations.epoch, calls.conversations.seq) < (EXCLUDED.epoch, EXCLUDED.seq)"""

UPSERT_USAGE = """INSERT INTO calls.usage (tenant_id, call_id, kind, quantity, at)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, 'call_seconds', $2, $3)
ON CONFLICT (tenant_id, call_id, kind) DO UPDATE SET quantity = EXCLUDED.quantity"""

INSERT_COMMAND = """INSERT INTO calls.commands (tenant_id, call_id, epoch, name, requested_by, requested_at)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, 'end', $3, $4) ON CONFLICT DO NOTHING"""

SETTLE_COMMAND = """UPDATE calls.commands SET outcome = $3, done_at = $4
WHERE call_id = $1 AND epoch = $2 AND name = 'end'"""

PRUNE_INBOX = "SELECT calls.inbox_prune($1)"
ERASE_TENANT = "SELECT calls.erase_tenant($1)"


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One line of a call's history. ``seq`` counts the job's facts; other sources take the call's own count."""

    source: str
    kind: str
    verdict: str
    epoch: int
    at: datetime
    seq: int | None = None
    detail: Mapping[str, Any] | None = None


def _life(row: Record) -> Call:
    reason = row["end_reason"]
    return Call(
        state=CallState(row["state"]),
        epoch=row["epoch"],
        claimed_at=row["claimed_at"],
        position=(row["position_epoch"], row["position_seq"]),
        lease_expires_at=row["lease_expires_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        end_reason=None if reason is None else EndReason(reason),
    )


def _call(row: Record) -> CallRow:
    decision = row["decision"]
    names = ("room_sid", "room_name", "sip_call_id", "trunk", "carrier_account", "dialled", "caller", "job_id")
    details = CallDetails(
        **{name: row[name] for name in names},
        media_cell=row["media_cell"],
        decision=None if decision is None else StoredDecision.from_json(decision),
    )
    return CallRow(
        tenant_id=row["tenant_id"],
        id=row["id"],
        life=_life(row),
        details=details,
        configuration_version=row["configuration_version"],
        degraded=row["degraded"],
        started_at=row["started_at"],
        events=row["events"],
        turns=row["turns"],
    )


async def get(conn: Connection, call_id: UUID) -> CallRow | None:
    row = await conn.fetchrow(SELECT_CALL, call_id)
    return None if row is None else _call(row)


async def page(conn: Connection, after: tuple[datetime, UUID] | None, limit: int) -> list[CallRow]:
    """Newest first; ``after`` is start and id of the last one already seen."""
    started_at, call_id = after or (None, None)
    return [_call(row) for row in await conn.fetch(SELECT_PAGE, started_at, call_id, limit)]


async def turns(conn: Connection, call_id: UUID) -> list[Record]:
    """In the order in which they were spoken: a job that takes over goes on counting."""
    return list(await conn.fetch(SELECT_TURNS, call_id))


async def lock(conn: Connection, call_id: UUID) -> CallRow | None:
    """The call by either of its ids, locked: whatever happens to one call happens one after the other."""
    row = await conn.fetchrow(SELECT_CALL_FOR_UPDATE, call_id)
    return None if row is None else _call(row)


async def lock_room(conn: Connection, room_sid: str, degraded_id: UUID) -> CallRow | None:
    row = await conn.fetchrow(SELECT_ROOM_FOR_UPDATE, room_sid, degraded_id)
    return None if row is None else _call(row)


async def owner_of_room(conn: Connection, room_sid: str, degraded_id: UUID) -> tuple[UUID, UUID] | None:
    """(tenant, call) of a room, in a platform transaction."""
    row = await conn.fetchrow(CALL_BY_ROOM, room_sid, degraded_id)
    return None if row is None else (row["tenant_id"], row["id"])


async def live(conn: Connection) -> list[LiveCall]:
    """Every tenant's calls that are not over, oldest first, in a platform transaction."""
    return [LiveCall(**{**dict(row), "state": CallState(row["state"])}) for row in await conn.fetch(LIVE_CALLS)]


async def count_live(conn: Connection, besides_room: str) -> int:
    return int(await conn.fetchval(COUNT_LIVE, besides_room))


async def lock_admission(conn: Connection, tenant_id: UUID) -> None:
    await conn.execute(LOCK_ADMISSION, tenant_id.hex)


async def insert(
    conn: Connection, call_id: UUID, degraded_id: UUID, room_sid: str | None, at: datetime, *, degraded: bool
) -> bool:
    """A ringing call; False when the room or the id has one already."""
    return await conn.fetchval(INSERT_CALL, call_id, degraded_id, room_sid, at, degraded) is not None


async def name_room(conn: Connection, call_id: UUID, room_sid: str) -> None:
    """The room of a call that began without one; nothing when another call has that room."""
    await conn.execute(NAME_ROOM, call_id, room_sid)


async def fill_details(conn: Connection, call_id: UUID, details: CallDetails) -> None:
    """Add what was not known yet."""
    decision = details.decision
    await conn.execute(
        FILL_DETAILS,
        call_id,
        details.room_name,
        details.sip_call_id,
        details.trunk,
        details.carrier_account,
        details.dialled,
        details.caller,
        details.job_id,
        details.media_cell,
        None if decision is None else decision.outcome.value,
        None if decision is None else decision.to_json(),
        None if decision is None else decision.configuration_version,
    )


async def set_configuration(conn: Connection, call_id: UUID, version: int, *, degraded: bool) -> None:
    await conn.execute(SET_CONFIGURATION, call_id, version, degraded)


async def save_life(conn: Connection, call_id: UUID, life: Call) -> None:
    await conn.execute(
        SAVE_LIFE,
        call_id,
        life.state.value,
        life.epoch,
        life.claimed_at,
        *life.position,
        life.lease_expires_at,
        life.answered_at,
        life.ended_at,
        None if life.end_reason is None else life.end_reason.value,
    )


async def event_exists(conn: Connection, call_id: UUID, source: str, epoch: int, seq: int) -> bool:
    return bool(await conn.fetchval(EVENT_EXISTS, call_id, source, epoch, seq))


async def add_event(
    conn: Connection, call_id: UUID, event: EventRecord, state: CallState, received_at: datetime
) -> None:
    seq = await conn.fetchval(NEXT_EVENT, call_id) if event.seq is None else event.seq
    await conn.fetchval(
        INSERT_EVENT,
        call_id,
        event.source,
        event.epoch,
        seq,
        event.kind,
        event.verdict,
        state.value,
        event.at,
        received_at,
        dict(event.detail or {}),
    )


async def put_turn(conn: Connection, call_id: UUID, fact: TurnRecorded) -> None:
    """The turn as the highest ``seq`` tells it."""
    await conn.execute(
        UPSERT_TURN,
        call_id,
        fact.epoch,
        fact.turn,
        fact.seq,
        fact.kind,
        fact.at,
        [{"text": str(h.text), "confidence": h.confidence} for h in fact.caller_said],
        str(fact.agent_said),
        str(fact.agent_heard),
        fact.interrupted,
        [_plain(passage.model_dump()) for passage in fact.passages],
        [receipt.model_dump() for receipt in fact.receipts],
        _plain(fact.timings.model_dump()),
        [fault.model_dump() for fault in fact.faults],
    )
    await conn.execute(COUNT_TURNS, call_id)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Ids and times as text; sealed words are plain text in memory."""
    return {
        key: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for key, value in values.items()
    }


async def put_conversation(conn: Connection, call_id: UUID, fact: ConversationSaved) -> None:
    """The newest saved state by ``(epoch, seq)``."""
    await conn.execute(UPSERT_CONVERSATION, call_id, fact.epoch, fact.seq, fact.turn, str(fact.state), fact.at)


async def put_usage(conn: Connection, call_id: UUID, seconds: float, at: datetime) -> None:
    await conn.execute(UPSERT_USAGE, call_id, seconds, at)


async def add_command(conn: Connection, call_id: UUID, epoch: int, requested_by: str, at: datetime) -> None:
    """The command to end a call; once per epoch, however often it is asked for."""
    await conn.execute(INSERT_COMMAND, call_id, epoch, requested_by, at)


async def settle_command(conn: Connection, call_id: UUID, epoch: int, outcome: str, at: datetime) -> None:
    await conn.execute(SETTLE_COMMAND, call_id, epoch, outcome, at)


async def prune_inbox(conn: Connection, keep: timedelta) -> None:
    """Forget messages older than the stream that could bring them again."""
    await conn.execute(PRUNE_INBOX, keep)


async def erase_tenant(conn: Connection, tenant_id: UUID) -> int:
    """Everything of a tenant, in a platform transaction; the number of rows."""
    return int(await conn.fetchval(ERASE_TENANT, tenant_id))
