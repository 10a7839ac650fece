"""Carries out what :mod:`call_orchestrator.watch.decisions` decides, room by room, on hints and on a sweep.

LiveKit's list of rooms is the truth; hints only make it look sooner. Everything remembered here may be lost: the next
sweep finds the rooms and the records again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from switchboard.clock import Clock
from switchboard.contracts.calls import EndReason, MediaHint, SipFacts
from switchboard.errors import Unavailable
from switchboard.sip import sip_facts

from call_orchestrator.adapters.livekit import Media
from call_orchestrator.admission.service import CANT_RECORD
from call_orchestrator.watch.decisions import (
    Action,
    DeleteRoom,
    Dispatch,
    End,
    Policy,
    RecordView,
    RoomView,
    Sight,
    decide,
    look,
)
from call_orchestrator.watch.ledger import Ledger

_log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Rooms looked at side by side."""


@dataclass(slots=True)
class Watched:
    """One room. ``name`` is None for a room that only the records know."""

    sid: str
    name: str | None = field(repr=False)
    created_at: datetime
    due: datetime
    sight: Sight = field(default_factory=Sight)
    sip: SipFacts | None = field(default=None, repr=False)
    counted: bool = False


class Watch:
    """One per process; replicas share their attempts through the database. ``hears``: whether the bus is there."""

    def __init__(self, media: Media, ledger: Ledger, policy: Policy, clock: Clock, hears: Callable[[], bool]) -> None:
        self._media = media
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._hears = hears
        self._blind_at: datetime | None = None
        self._rooms: dict[str, Watched] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._rooms)

    # -- what makes it look -----------------------------------------------------------------------------------------

    async def hint(self, hint: MediaHint) -> None:
        """Look at that room now. What the hint says is not believed, but for one refinement: a caller's leg that was
        seen leaving makes a vanished room a hang-up rather than lost media.
        """
        now = self._clock.now()
        room = self._rooms.get(hint.room_sid)
        if room is None:
            room = self._rooms[hint.room_sid] = Watched(hint.room_sid, str(hint.room_name), min(hint.at, now), now)
        room.due = now
        room.name = room.name or str(hint.room_name)
        if hint.event == "participant_left" and hint.participant_kind == "sip":
            room.sight = replace(room.sight, leg_seen=True, leg_left=True)
        self._wake.set()

    def job_lost(self, room_sid: str, epoch: int) -> None:
        """The job of that epoch is gone; said again as long as it is. A room that isn't known yet is named by the next sweep,
        and soon after an outage nothing is believed that the outage may have done."""
        now, room = self._clock.now(), self._rooms.get(room_sid)
        if room is not None and room.sight.lost_epoch < epoch and self._caught_up(now):
            room.sight = replace(room.sight, lost_epoch=epoch)
            room.due = now
            self._wake.set()

    async def sweep(self) -> None:
        """Compare all rooms with all live records; raises ``Unavailable`` when LiveKit or the database is away."""
        now = self._clock.now()
        try:
            # Before the rooms: a record read first can't belong to a room that is younger than the list.
            live = await self._ledger.live()
        except CANT_RECORD as error:
            _log.warning("sweep without records", error=type(error).__name__)
            self._blind_at = now
            live = []
        listed = {room.sid: room for room in await self._media.rooms()}
        for sid, found in listed.items():
            room = self._rooms.setdefault(sid, Watched(sid, found.name, min(found.created_at, now), now))
            room.name = found.name
        for call in live:
            expired = call.lease_expires_at is not None and call.lease_expires_at <= now
            if call.room_sid is None:
                if expired and self._caught_up(now):
                    await self._ledger.end(call.tenant_id, call.id, call.epoch, EndReason.AGENT_LOST, now)
                continue
            room = self._rooms.setdefault(call.room_sid, Watched(call.room_sid, None, call.started_at, now))
            if expired or call.room_sid not in listed:
                room.due = min(room.due, now)
        for sid, room in self._rooms.items():
            if sid not in listed:
                room.due = min(room.due, now)
        self._wake.set()

    # -- looking ----------------------------------------------------------------------------------------------------

    async def step(self) -> datetime | None:
        """Look at every room that is due; when the next one will be."""
        now = self._clock.now()
        due = [room for room in self._rooms.values() if room.due <= now]
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(room: Watched) -> None:
            async with gate:
                await self._guarded(room)

        await asyncio.gather(*(one(room) for room in due))
        return min((room.due for room in self._rooms.values()), default=None)

    async def _guarded(self, room: Watched) -> None:
        """A room that can't be looked at now is looked at again; it must not keep the others waiting."""
        try:
            await self._inspect(room)
        except CANT_RECORD as error:
            _log.warning("room not settled", room_sid=room.sid, error=type(error).__name__)
            room.due = self._clock.now() + timedelta(seconds=1)

    async def _inspect(self, room: Watched) -> None:
        now = self._clock.now()
        view = await self._view(room)
        room.sight = look(room.sight, view, room.created_at, now)
        record, known = await self._record(room, now)
        if not known or not self._hears():
            self._blind_at = now
        room.sight = replace(room.sight, blind_at=self._blind_at)
        plan = decide(room.sight, view, record, self._policy, now)
        for action in plan.actions:
            await self._act(room, action, record)
        room.sight = plan.sight
        if plan.again_at is not None:
            room.due = plan.again_at
            return
        if not known:
            raise Unavailable("the record of a room that is gone can't be read yet")
        if record is None and room.sip is not None:
            await self._ledger.unmatched(room.sid, room.sip, _nobodys(room.sight), now)
        self._rooms.pop(room.sid, None)

    def _caught_up(self, now: datetime) -> bool:
        """Whether what jobs said during the last outage is in the records."""
        if not self._hears():
            self._blind_at = now
        return self._blind_at is None or now >= self._blind_at + self._policy.catch_up

    async def _view(self, room: Watched) -> RoomView | None:
        if room.name is None:
            return None  # not in LiveKit's list either, or the sweep would have named it
        found = await self._media.participants(room.name)
        if found is None:
            return None
        leg = next((participant for participant in found if participant.kind == "sip"), None)
        if leg is not None and room.sip is None:
            room.sip = sip_facts(leg.attributes)
        return RoomView(leg=leg is not None, agent=any(participant.kind == "agent" for participant in found))

    async def _record(self, room: Watched, now: datetime) -> tuple[RecordView | None, bool]:
        """(record, whether that is known). Without the database a caller still gets an agent."""
        try:
            if not room.counted:
                attempts, latest = await self._ledger.attempts(room.sid)
                seen = max(filter(None, (room.sight.attempted_at, latest)), default=None)
                room.sight = replace(room.sight, attempts=max(room.sight.attempts, attempts), attempted_at=seen)
                room.counted = True
            record = await self._ledger.record(room.sid)
            if record is None and room.sip is not None and room.name is not None:
                record = await self._ledger.open(room.sid, room.name, room.sip, now)
        except CANT_RECORD as error:
            _log.warning("record not read", room_sid=room.sid, error=type(error).__name__)
            return None, False
        return record, True

    # -- acting -----------------------------------------------------------------------------------------------------

    async def _act(self, room: Watched, action: Action, record: RecordView | None) -> None:
        match action:
            case Dispatch():
                await self._dispatch(room, action.attempt)
            case DeleteRoom():
                if room.name is not None:
                    _log.info("room deleted", room_sid=room.sid)
                    await self._media.delete_room(room.name)
            case End():
                if record is not None:
                    await self._ledger.end(record.tenant_id, record.call_id, record.epoch, action.reason, action.at)

    async def _dispatch(self, room: Watched, attempt: int) -> None:
        ours = True
        with suppress(*CANT_RECORD):
            ours = await self._ledger.claim_attempt(room.sid, attempt)
        if ours and room.name is not None:
            _log.warning("no agent joined; the room is offered again", room_sid=room.sid, attempt=attempt)
            await self._media.dispatch(room.name)

    # -- running ----------------------------------------------------------------------------------------------------

    async def run(self, sweep_every: timedelta, also: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled. ``also`` is called with each sweep: what else waits for the database or LiveKit to be back."""
        next_sweep = self._clock.monotonic()
        while True:
            self._wake.clear()
            if self._clock.monotonic() >= next_sweep:
                next_sweep = self._clock.monotonic() + sweep_every.total_seconds()
                await self._sweep_once(also)
            next_due = await self.step()
            seconds = max(0.0, next_sweep - self._clock.monotonic())
            if next_due is not None:
                seconds = min(seconds, max(0.0, (next_due - self._clock.now()).total_seconds()))
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _sweep_once(self, also: Callable[[], Awaitable[None]]) -> None:
        try:
            await self.sweep()
            await also()
        except CANT_RECORD as error:
            _log.warning("sweep failed", error=type(error).__name__)


def _nobodys(sight: Sight) -> EndReason:
    return EndReason.NO_AGENT if sight.gave_up else EndReason.CALLER_CANCELLED
