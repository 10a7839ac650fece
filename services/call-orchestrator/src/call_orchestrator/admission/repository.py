"""SQL of calls that belong to no tenant, and of the drain switch; all in platform transactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.contracts.calls import AdmitRequest, EndReason
from switchboard.db import Connection

from call_orchestrator.calls.models import UnmatchedCall

UNMATCHED_OPEN = "SELECT id, attempts FROM calls.unmatched_open($1, $2, $3, $4, $5, $6, $7, $8, $9)"
UNMATCHED_LIST = "SELECT * FROM calls.unmatched_list($1, $2)"
UNMATCHED_PRUNE = "SELECT calls.unmatched_prune($1)"
SELECT_SWITCH = "SELECT value FROM calls.switches WHERE name = $1"
SET_SWITCH = """INSERT INTO calls.switches (name, value, changed_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, changed_at = EXCLUDED.changed_at"""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A call that is to be recorded as nobody's."""

    id: UUID
    room_sid: str
    sip_call_id: str
    trunk: str | None
    carrier_account: str | None
    dialled: str
    caller: str | None
    reason: EndReason
    at: datetime

    @classmethod
    def of(cls, new_id: UUID, request: AdmitRequest, reason: EndReason, at: datetime) -> Unmatched:
        sip = request.sip
        return cls(
            id=new_id,
            room_sid=request.room_sid,
            sip_call_id=sip.sip_call_id,
            trunk=sip.trunk,
            carrier_account=sip.carrier_account,
            dialled=str(sip.dialled),
            caller=None if sip.caller is None else str(sip.caller),
            reason=reason,
            at=at,
        )


async def record(conn: Connection, call: Unmatched) -> tuple[UUID, int]:
    """(id, how many times it was seen): the id and reason of whoever recorded that room first."""
    row = await conn.fetchrow(
        UNMATCHED_OPEN,
        call.id,
        call.room_sid,
        call.sip_call_id,
        call.trunk,
        call.carrier_account,
        call.dialled,
        call.caller,
        call.reason.value,
        call.at,
    )
    assert row is not None
    return row["id"], row["attempts"]


async def listing(conn: Connection, before: datetime, limit: int) -> list[UnmatchedCall]:
    """Newest first."""
    return [UnmatchedCall(**dict(row)) for row in await conn.fetch(UNMATCHED_LIST, before, limit)]


async def prune(conn: Connection, keep: timedelta) -> int:
    return int(await conn.fetchval(UNMATCHED_PRUNE, keep))


async def get_switch(conn: Connection, name: str) -> bool:
    return bool(await conn.fetchval(SELECT_SWITCH, name))


async def set_switch(conn: Connection, name: str, value: bool, at: datetime) -> None:
    await conn.execute(SET_SWITCH, name, value, at)
