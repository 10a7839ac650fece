"""Ending a call on request: ask its job, which says goodbye properly; without an answer, take the room away."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import structlog
from switchboard.clock import Clock
from switchboard.contracts.base import Actor
from switchboard.contracts.calls import EndCall
from switchboard.db import Database
from switchboard.errors import NotFound, SwitchboardError, Unavailable
from switchboard.telemetry import bound

from call_orchestrator.adapters.livekit import Media
from call_orchestrator.calls import machine, repository
from call_orchestrator.calls.models import CallRow
from call_orchestrator.calls.records import Records
from call_orchestrator.calls.repository import EventRecord

_log = structlog.get_logger(__name__)


class TellJob(Protocol):
    """Gives ``END_CALL`` to the job of a call; raises when there is none or it doesn't answer."""

    async def __call__(self, tenant_id: UUID, call_id: UUID, body: EndCall) -> None: ...


class Control:
    """Commands to live calls."""

    def __init__(self, db: Database, records: Records, media: Media, tell: TellJob, clock: Clock) -> None:
        self._db = db
        self._records = records
        self._media = media
        self._tell = tell
        self._clock = clock

    async def end(self, tenant_id: UUID, call_id: UUID, actor: Actor) -> None:
        """Idempotent: the command is given once to each epoch. ``NotFound``; ``Unavailable`` when nothing worked."""
        with bound(tenant_id=tenant_id, call_id=call_id):
            row = await self._ask(tenant_id, call_id, actor)
            if row is None:
                return
            outcome = "job" if await self._job_ends(row) else "room_deleted"
            if outcome == "room_deleted":
                await self._end_without_job(row)
            async with self._db.tenant(tenant_id) as conn:
                await repository.settle_command(conn, row.id, row.life.epoch, outcome, self._clock.now())

    async def _ask(self, tenant_id: UUID, call_id: UUID, actor: Actor) -> CallRow | None:
        """Write the command down before it is given; None when there is nothing to do any more."""
        writer = await self._records.writer(tenant_id)
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            row = await repository.lock(conn, call_id)
            if row is None:
                raise NotFound("there is no such call")
            if row.life.over:
                return None
            await repository.add_command(conn, row.id, row.life.epoch, f"{actor.kind}:{actor.id}", now)
            await self._records.audit(conn, writer, actor, "call.end_requested", row.id, epoch=row.life.epoch)
        return row

    async def _job_ends(self, row: CallRow) -> bool:
        try:
            await self._tell(row.tenant_id, row.id, EndCall(epoch=row.life.epoch))
        except SwitchboardError as error:
            _log.warning("the job did not take the command", error=error.code)
            return False
        return True

    async def _end_without_job(self, row: CallRow) -> None:
        name = row.details.room_name
        if name is None:
            name = await self._name_of(row.details.room_sid)
        if name is not None:
            await self._media.delete_room(name)
        writer = await self._records.writer(row.tenant_id)
        async with self._db.tenant(row.tenant_id) as conn:
            current = await repository.lock(conn, row.id)
            if current is None:
                return
            now = self._clock.now()
            record = EventRecord("operator", "stopped", "", 0, now)
            await self._records.apply(conn, writer, current, machine.Stopped(now), record)

    async def _name_of(self, room_sid: str | None) -> str | None:
        """LiveKit knows rooms by name; a record written from facts alone has only the SID."""
        if room_sid is None:
            raise Unavailable("nobody knows which room that call is in yet")
        return next((room.name for room in await self._media.rooms() if room.sid == room_sid), None)
