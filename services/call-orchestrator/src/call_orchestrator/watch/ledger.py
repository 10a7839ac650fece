"""What the watch reads from and writes into the records."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from switchboard.clock import Clock
from switchboard.contracts.calls import EndReason, SipFacts
from switchboard.db import Database
from switchboard.degraded import degraded_call_id
from switchboard.ids import Ids

from call_orchestrator.admission import repository as unmatched
from call_orchestrator.admission.service import Book
from call_orchestrator.calls import machine, repository
from call_orchestrator.calls.models import CallDetails, CallRow, LiveCall
from call_orchestrator.calls.records import Records
from call_orchestrator.calls.repository import EventRecord
from call_orchestrator.watch import repository as dispatches
from call_orchestrator.watch.decisions import RecordView

_log = structlog.get_logger(__name__)


def view_of(row: CallRow) -> RecordView:
    life, decision = row.life, row.details.decision
    seconds = 0 if decision is None else decision.max_call_seconds
    ends_by = life.answered_at + timedelta(seconds=seconds) if life.answered_at is not None and seconds else None
    return RecordView(
        tenant_id=row.tenant_id,
        call_id=row.id,
        state=life.state,
        epoch=life.epoch,
        lease_expires_at=life.lease_expires_at,
        answered=life.answered_at is not None,
        ended_at=life.ended_at,
        ends_by=ends_by,
    )


class Ledger:
    """Each method is one or two short transactions; all raise ``Unavailable`` when the database is away."""

    def __init__(self, db: Database, book: Book, records: Records, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._book = book
        self._records = records
        self._clock = clock
        self._ids = ids

    async def live(self) -> list[LiveCall]:
        async with self._db.platform() as conn:
            return await repository.live(conn)

    async def record(self, room_sid: str) -> RecordView | None:
        """The call of a room, whatever its tenant."""
        async with self._db.platform() as conn:
            owner = await repository.owner_of_room(conn, room_sid, degraded_call_id(room_sid))
        if owner is None:
            return None
        async with self._db.tenant(owner[0], readonly=True) as conn:
            row = await repository.get(conn, owner[1])
        return None if row is None else view_of(row)

    async def open(self, room_sid: str, room_name: str, sip: SipFacts, at: datetime) -> RecordView | None:
        """A ringing call for a leg that was seen before its job asked. None: the number is nobody's."""
        snapshot = self._book.match(sip.dialled, sip.trunk, sip.carrier_account).snapshot
        if snapshot is None:
            return None
        degraded_id = degraded_call_id(room_sid)
        details = CallDetails(
            room_sid=room_sid,
            room_name=room_name,
            sip_call_id=sip.sip_call_id,
            trunk=sip.trunk,
            carrier_account=sip.carrier_account,
            dialled=str(sip.dialled),
            caller=None if sip.caller is None else str(sip.caller),
        )
        writer = await self._records.writer(snapshot.tenant_id)
        async with self._db.tenant(snapshot.tenant_id) as conn:
            fresh = await repository.insert(conn, self._ids.new(), degraded_id, room_sid, at, degraded=False)
            row = await repository.lock_room(conn, room_sid, degraded_id)
            if row is None:
                return None  # another tenant's, by an older number index; its own record is found the next time
            if fresh:
                row = await self._records.fill(conn, row, details)
                record = EventRecord("livekit", "seen", "", 0, at)
                await self._records.apply(conn, writer, row, machine.Seen(at), record)
            return view_of(row)

    async def unmatched(self, room_sid: str, sip: SipFacts, reason: EndReason, at: datetime) -> None:
        """A leg to a number that is nobody's left, or was cut off, before a job could refuse it."""
        call = unmatched.Unmatched(
            id=self._ids.new(),
            room_sid=room_sid,
            sip_call_id=sip.sip_call_id,
            trunk=sip.trunk,
            carrier_account=sip.carrier_account,
            dialled=str(sip.dialled),
            caller=None if sip.caller is None else str(sip.caller),
            reason=reason,
            at=at,
        )
        async with self._db.platform() as conn:
            await unmatched.record(conn, call)

    async def end(self, tenant_id: UUID, call_id: UUID, epoch: int, reason: EndReason, at: datetime) -> bool:
        """Close a record as found; False when somebody took over since ``epoch`` was read."""
        writer = await self._records.writer(tenant_id)
        async with self._db.tenant(tenant_id) as conn:
            row = await repository.lock(conn, call_id)
            if row is None:
                return False
            record = EventRecord("reaper", "found", "", 0, at, detail={"reason": reason.value})
            step = await self._records.apply(conn, writer, row, machine.Found(epoch, at, reason), record)
        return step.verdict is not machine.Verdict.STALE

    async def attempts(self, room_sid: str) -> tuple[int, datetime | None]:
        async with self._db.platform() as conn:
            return await dispatches.attempts(conn, room_sid)

    async def claim_attempt(self, room_sid: str, attempt: int) -> bool:
        async with self._db.platform() as conn:
            return await dispatches.claim_attempt(conn, room_sid, attempt, self._clock.now())

    async def prune(self, keep_attempts: timedelta, keep_messages: timedelta, keep_unmatched: timedelta) -> None:
        """Forget attempts, handled messages and nobody's calls that are older than that."""
        async with self._db.platform() as conn:
            await dispatches.prune(conn, self._clock.now(), keep_attempts)
            await repository.prune_inbox(conn, keep_messages)
            await unmatched.prune(conn, keep_unmatched)

    async def draining(self) -> bool:
        async with self._db.platform() as conn:
            return await unmatched.get_switch(conn, "drain")

    async def set_draining(self, value: bool) -> None:
        async with self._db.platform() as conn:
            await unmatched.set_switch(conn, "drain", value, self._clock.now())
