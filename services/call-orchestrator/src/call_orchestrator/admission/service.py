"""Admission: one answer per room, recorded when it can be, given in any case."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog
from switchboard.admission import END_REASON, decide
from switchboard.clock import Clock
from switchboard.contracts.base import Actor
from switchboard.contracts.calls import (
    AdmitReply,
    AdmitRequest,
    CallPlan,
    Decision,
    DecisionReason,
    Heartbeat,
    HeartbeatReply,
    Outcome,
)
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.db import DATABASE_ERRORS, Database
from switchboard.degraded import degraded_call_id, degraded_epoch
from switchboard.errors import Conflict, NotFound, StaleEpoch, SwitchboardError, Unavailable
from switchboard.ids import Ids
from switchboard.sealed import SealError
from switchboard.snapshot import NumberMatch
from switchboard.telemetry import bound

from call_orchestrator.admission import repository as unmatched
from call_orchestrator.admission.deferred import Deferred, DeferredCall
from call_orchestrator.calls import machine, repository
from call_orchestrator.calls.models import CallDetails, CallRow, StoredDecision
from call_orchestrator.calls.records import Records, Writer
from call_orchestrator.calls.repository import EventRecord

_log = structlog.get_logger(__name__)

CANT_RECORD = (Unavailable, SealError, *DATABASE_ERRORS, TimeoutError)
"""What keeps a call from being recorded now. A caller doesn't wait for any of it.

``InternalClientError`` is how asyncpg's pool shows a connection that the server cut while it was being handed out.
"""

ADMISSION = Actor(kind="service", id="admission")
"""Who decides about calls, in the audit."""

AskJob = Callable[[UUID, UUID], Awaitable[object]]
"""Tenant, call -> something, from the call's job; raises :class:`switchboard.errors.NoResponder` when there is none."""

JOB_ANSWERS_S = 0.5
"""How long a call's job may take to say that it is there, while the caller waits for another one's admission."""


class Book(Protocol):
    """The published snapshots, in memory (:class:`switchboard.snapshot.SnapshotBook`)."""

    @property
    def caught_up(self) -> bool: ...

    def get(self, tenant_id: UUID) -> TenantSnapshot | None: ...

    def match(self, number: str, trunk: str | None, carrier_account: str | None) -> NumberMatch: ...

    def owners(self, number: str) -> tuple[UUID, ...]: ...


@dataclass(slots=True)
class Drain:
    """Whether operators have asked the fleet to take no new calls; refreshed by the sweep."""

    on: bool = False


class Admission:
    """``patience_s`` is how long the database may take before the answer is given without it."""

    def __init__(
        self,
        db: Database,
        book: Book,
        records: Records,
        deferred: Deferred,
        drain: Drain,
        ask_job: AskJob,
        clock: Clock,
        ids: Ids,
        patience_s: float,
    ) -> None:
        self._db = db
        self._book = book
        self._records = records
        self._deferred = deferred
        self._drain = drain
        self._ask_job = ask_job
        self._clock = clock
        self._ids = ids
        self._patience_s = patience_s

    async def admit(self, request: AdmitRequest) -> AdmitReply:
        """``Conflict`` when the room's call is over or has its job; ``Unavailable`` while the snapshots are not read yet."""
        if not self._book.caught_up:
            # Every number would look unknown: better another replica answers, or the job itself.
            raise Unavailable("the published configurations have not been read yet")
        sip = request.sip
        match = self._book.match(sip.dialled, sip.trunk, sip.carrier_account)
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._recorded(request, match)
        except CANT_RECORD as error:
            _log.warning("admitted without a record", room_sid=request.room_sid, error=type(error).__name__)
            return self._degraded(request, match)

    async def _recorded(self, request: AdmitRequest, match: NumberMatch) -> AdmitReply:
        async with self._db.platform() as conn:
            owner = await repository.owner_of_room(conn, request.room_sid, degraded_call_id(request.room_sid))
        if owner is not None:
            if await self._has_its_job(*owner):
                raise Conflict("the call in that room has its job; leave the room")
            return await self._in_tenant(request, match, owner[0])
        if match.snapshot is None:
            return await self._unmatched(request, match)
        return await self._in_tenant(request, match, match.snapshot.tenant_id)

    async def _has_its_job(self, tenant_id: UUID, call_id: UUID) -> bool:
        """Another one than the job that asks, which doesn't serve its call before it is admitted.

        A LiveKit server that was started anew dispatches its rooms' agents again; the one that is already talking finds
        back by itself and knows what was said.
        """
        try:
            async with asyncio.timeout(JOB_ANSWERS_S):
                await self._ask_job(tenant_id, call_id)
        except (SwitchboardError, SealError, TimeoutError):
            return False
        return True

    async def _unmatched(self, request: AdmitRequest, match: NumberMatch) -> AdmitReply:
        decision = decide(match, self._clock.now(), 0)
        owners = await self._owners(request)
        async with self._db.platform() as conn:
            seen = unmatched.Unmatched.of(self._ids.new(), request, END_REASON[decision.reason], self._clock.now())
            call_id, attempts = await unmatched.record(conn, seen)
        if attempts == 1:
            await self._audit_refused(owners, request, call_id, decision)
        _log.info("call refused", reason=decision.reason.value, room_sid=request.room_sid)
        return AdmitReply(call_id=call_id, epoch=attempts, decision=decision)

    async def _owners(self, request: AdmitRequest) -> list[Writer]:
        """Whose number was dialled; without those whose key has been destroyed."""
        found = []
        for tenant_id in self._book.owners(request.sip.dialled):
            with suppress(SealError):
                found.append(await self._records.writer(tenant_id))
        return found

    async def _audit_refused(
        self, owners: Sequence[Writer], request: AdmitRequest, call_id: UUID, decision: Decision
    ) -> None:
        """Somebody tried to reach a tenant's number on a path that isn't theirs: a line in that tenant's audit.

        The trunk is one of ours or a customer's, by its id; the numbers stay in the operators' list.
        """
        detail = {"reason": decision.reason.value, "trunk": request.sip.trunk}
        for writer in owners:
            async with self._db.tenant(writer.tenant_id) as conn:
                await self._records.audit(conn, writer, ADMISSION, "call.refused", call_id, **detail)

    async def _in_tenant(self, request: AdmitRequest, match: NumberMatch, tenant_id: UUID) -> AdmitReply:
        writer = await self._records.writer(tenant_id)
        degraded_id = degraded_call_id(request.room_sid)
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            await repository.lock_admission(conn, tenant_id)
            row = await repository.lock_room(conn, request.room_sid, degraded_id)
            if row is None:
                await repository.insert(conn, self._ids.new(), degraded_id, request.room_sid, now, degraded=False)
                row = await repository.lock_room(conn, request.room_sid, degraded_id)
            if row is None:
                raise Unavailable("another process is recording this room's call")  # it answers the next try
            if row.details.room_sid is None:
                await repository.name_room(conn, row.id, request.room_sid)
            decision = self._of_known(row) if row.details.decision is not None else None
            if decision is None:
                live = await repository.count_live(conn, request.room_sid)
                decision = self._fresh(match, tenant_id, now, live)
            if row.life.over:
                return _after_the_end(row, decision)
            takeover = row.life.epoch > 0
            row = await self._records.fill(conn, row, CallDetails.of(request, StoredDecision.of(decision)))
            event: machine.Event = machine.Claimed(now, self._records.lease_until(now))
            if decision.outcome is Outcome.REFUSE:
                event = machine.Refused(now, END_REASON[decision.reason])
            record = EventRecord("admission", "admitted", "", 0, now, detail={"job_id": request.job_id})
            step = await self._records.apply(conn, writer, row, event, record)
            if decision.outcome is Outcome.REFUSE or takeover:
                action = "call.taken_over" if takeover else "call.refused"
                await self._records.audit(conn, writer, ADMISSION, action, row.id, reason=decision.reason.value)
        with bound(tenant_id=tenant_id, call_id=row.id):
            _log.info("call decided", outcome=decision.outcome.value, reason=decision.reason.value, takeover=takeover)
        return AdmitReply(call_id=row.id, epoch=max(1, step.call.epoch), decision=decision)

    def _fresh(self, match: NumberMatch, tenant_id: UUID, now: datetime, live: int) -> Decision:
        snapshot = match.snapshot
        if snapshot is None or snapshot.tenant_id != tenant_id:
            # The watcher opened the record by an older version of the number index.
            snapshot = self._book.get(tenant_id)
        return self._with_drain(decide(NumberMatch(snapshot, match.known), now, live))

    def _with_drain(self, decision: Decision) -> Decision:
        if not self._drain.on or decision.outcome is Outcome.REFUSE:
            return decision
        evidence = {**decision.evidence, "draining": True}
        changes = {"outcome": Outcome.REFUSE, "reason": DecisionReason.OVER_CAPACITY, "evidence": evidence}
        return decision.model_copy(update=changes)

    def _of_known(self, row: CallRow) -> Decision | None:
        """A call goes on as it was decided, whatever has changed since; None when there is nothing to go on with."""
        stored = row.details.decision
        assert stored is not None
        plan = None
        if stored.max_call_seconds:
            snapshot = self._book.get(row.tenant_id)
            if snapshot is None:
                return None
            plan = CallPlan(
                snapshot=snapshot,
                say=stored.say,
                forward_to=stored.forward_to,
                max_call_seconds=stored.max_call_seconds,
            )
        return Decision(
            outcome=stored.outcome,
            reason=stored.reason,
            evidence=stored.evidence,
            tenant_id=row.tenant_id,
            plan=plan,
        )

    def _degraded(self, request: AdmitRequest, match: NumberMatch) -> AdmitReply:
        """From the snapshot alone; how many calls are live can't be known, and a call too many beats a dead line."""
        now = self._clock.now()
        decision = self._with_drain(decide(match, now, 0))
        reply = AdmitReply(
            call_id=degraded_call_id(request.room_sid),
            epoch=degraded_epoch(now),
            decision=decision,
            degraded=True,
        )
        self._deferred.add(DeferredCall(request, reply, now))
        return reply

    async def flush(self) -> int:
        """Write the records that had to wait; the number of them. Raises what keeps the next one from being written."""
        written = 0
        while (waiting := self._deferred.peek()) is not None:
            await self._write(waiting)
            self._deferred.done(waiting)
            written += 1
        return written

    async def _write(self, waiting: DeferredCall) -> None:
        request, reply = waiting.request, waiting.reply
        decision = reply.decision
        if decision.tenant_id is None:
            seen = unmatched.Unmatched.of(reply.call_id, request, END_REASON[decision.reason], waiting.at)
            owners = await self._owners(request)
            async with self._db.platform() as conn:
                call_id, attempts = await unmatched.record(conn, seen)
            if attempts == 1:
                await self._audit_refused(owners, request, call_id, decision)
            return
        writer = await self._records.writer(decision.tenant_id)
        async with self._db.tenant(decision.tenant_id) as conn:
            row = await self._records.find_or_open(conn, reply.call_id, reply.call_id, request.room_sid, waiting.at)
            if row is None:
                _log.error("a call decided about without a record belongs to another tenant", room_sid=request.room_sid)
                return
            row = await self._records.fill(conn, row, CallDetails.of(request, StoredDecision.of(decision)))
            lease = self._records.lease_until(self._clock.now())
            event: machine.Event = machine.Beat(reply.epoch, waiting.at, lease)
            if decision.outcome is Outcome.REFUSE:
                event = machine.Refused(waiting.at, END_REASON[decision.reason])
            record = EventRecord("admission", "admitted_late", "", 0, waiting.at, detail={"job_id": request.job_id})
            await self._records.apply(conn, writer, row, event, record)

    async def heartbeat(self, tenant_id: UUID, beat: Heartbeat) -> HeartbeatReply:
        """Renew the lease. ``StaleEpoch`` when another job has the call, ``Conflict`` when it is over."""
        writer = await self._records.writer(tenant_id)
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            row = await self._records.find_or_open(conn, beat.call_id, beat.call_id, beat.room_sid, now)
            if row is None:
                raise Conflict("those ids belong to another call")
            event = machine.Beat(beat.epoch, now, self._records.lease_until(now))
            step = await self._records.apply(conn, writer, row, event, None)
        if step.verdict is machine.Verdict.STALE:
            raise StaleEpoch()
        if step.verdict is machine.Verdict.OVER:
            raise Conflict("this call is over")
        return HeartbeatReply(lease_seconds=self._records.lease.total_seconds())


def _after_the_end(row: CallRow, decision: Decision) -> AdmitReply:
    """A refused job may ask again and hears the same; there is nothing to take over in any other ended call."""
    if decision.outcome is not Outcome.REFUSE:
        raise Conflict("the call in that room is over; leave the room")
    return AdmitReply(call_id=row.id, epoch=max(1, row.life.epoch), decision=decision)


class Preview:
    """What would happen if somebody called now: the same decision about the same number, recorded nowhere."""

    def __init__(self, db: Database, book: Book, clock: Clock) -> None:
        self._db = db
        self._book = book
        self._clock = clock

    async def decide(self, tenant_id: UUID, number: str) -> Decision:
        """``NotFound`` unless ``number`` is one of the tenant's published numbers."""
        snapshot = self._book.get(tenant_id)
        binding = next((b for b in snapshot.numbers if b.number == number), None) if snapshot is not None else None
        if binding is None:
            raise NotFound("that is not a published number of yours; publish the configuration first")
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            live = await repository.count_live(conn, "")
        match = self._book.match(binding.number, binding.trunk, binding.carrier_account)
        return decide(match, self._clock.now(), live)
