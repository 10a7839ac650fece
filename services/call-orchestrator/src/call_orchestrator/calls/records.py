"""Writing the record: every event of a call goes through the machine, in one transaction with what follows from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from switchboard.audit import Line, Resource, told
from switchboard.bus import Message
from switchboard.bus.envelope import encode_fact
from switchboard.clock import Clock
from switchboard.contracts.base import Actor, CallFact, Service
from switchboard.contracts.calls import CallClosed, CallOpened, DecisionReason, Outcome
from switchboard.db import Connection
from switchboard.ids import Ids, token
from switchboard.outbox import Outbox
from switchboard.sealed import Cipher
from switchboard.telemetry import span

from call_orchestrator.calls import machine, repository
from call_orchestrator.calls.models import CallDetails, CallRow
from call_orchestrator.calls.repository import EventRecord

_log = structlog.get_logger(__name__)

Ciphers = Callable[[UUID | None], Awaitable[Cipher]]
"""The bus's keyring: a tenant's cipher."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A tenant's cipher at hand, so that nothing waits for the bus while a transaction holds a row."""

    tenant_id: UUID
    cipher: Cipher


class Records:
    """The only writer of calls' lives. ``lease`` is how long a job may stay silent."""

    def __init__(self, ciphers: Ciphers, outbox: Outbox, clock: Clock, ids: Ids, lease: timedelta) -> None:
        self._ciphers = ciphers
        self._outbox = outbox
        self._clock = clock
        self._ids = ids
        self.lease = lease

    async def writer(self, tenant_id: UUID) -> Writer:
        """Before the transaction. ``SealError`` for a tenant whose key is gone, ``Unavailable`` when nobody can tell."""
        return Writer(tenant_id, await self._ciphers(tenant_id))

    def lease_until(self, now: datetime) -> datetime:
        return now + self.lease

    async def apply(
        self, conn: Connection, writer: Writer, row: CallRow, event: machine.Event, record: EventRecord | None
    ) -> machine.Step:
        """One event of the locked call ``row``: its life, its history (``record``; None: none), what the fleet is told.

        ``record.verdict`` and, for sources other than the job, ``record.epoch`` are filled in here.
        """
        step = machine.apply(row.life, event)
        now = self._clock.now()
        if step.call != row.life:
            # By its name the one write is found, in whoever's trace it is, that ends a call.
            closing = {"call.id": token(row.id), "call.end_reason": str(step.call.end_reason)}
            with span("close record", attributes=closing) if step.call.over and not row.life.over else nullcontext():
                await repository.save_life(conn, row.id, step.call)
                if step.call.over:
                    await repository.put_usage(conn, row.id, step.call.seconds, step.call.ended_at or now)
        if record is not None:
            epoch = record.epoch if record.seq is not None else step.call.epoch
            filled = replace(record, verdict=step.verdict.value, epoch=epoch)
            await repository.add_event(conn, row.id, filled, step.call.state, now)
        for effect in step.effects:
            await self._tell(conn, writer, replace(row, life=step.call), effect, now)
        return step

    async def _tell(
        self, conn: Connection, writer: Writer, row: CallRow, effect: machine.Effect, now: datetime
    ) -> None:
        # The broker keeps no order; within one epoch of a call the orchestrator says these two, in this order.
        fact: CallFact
        match effect:
            case machine.Opened():
                decision = row.details.decision
                fact = CallOpened(
                    tenant_id=row.tenant_id,
                    call_id=row.id,
                    epoch=row.life.epoch,
                    seq=1,
                    at=now,
                    # A call that was decided about while nobody could write was talked to, or it would have no facts.
                    outcome=Outcome.TALK if decision is None else decision.outcome,
                    reason=DecisionReason.OPEN if decision is None else decision.reason,
                )
            case machine.Closed():
                fact = CallClosed(
                    tenant_id=row.tenant_id,
                    call_id=row.id,
                    epoch=row.life.epoch,
                    seq=2,
                    at=now,
                    reason=effect.reason,
                    seconds=effect.seconds,
                )
                _log.info(
                    "call ended", call_id=row.id.hex, reason=effect.reason.value, seconds=round(effect.seconds, 3)
                )
        message: Message = encode_fact(fact, self._ids.new(), Service.CALL_ORCHESTRATOR, writer.cipher)
        await self._outbox.add(conn, message)

    async def find_or_open(
        self, conn: Connection, call_id: UUID, degraded_id: UUID, room_sid: str | None, at: datetime
    ) -> CallRow | None:
        """The locked call of a fact, opened now when nobody could open it in time. None: its ids are another call's."""
        row = await repository.lock(conn, call_id)
        if row is None:
            # Somebody may be opening it right now: the insert waits for them and then finds their row.
            await repository.insert(conn, call_id, degraded_id, None, at, degraded=True)
            row = await repository.lock(conn, call_id)
        if row is None:
            return None
        if row.details.room_sid is None and room_sid is not None:
            await repository.name_room(conn, row.id, room_sid)
        if row.life.lease_expires_at is None and not row.life.over:
            # Without a first lease nothing would ever ask whether a call that began unseen is still there.
            row = replace(row, life=replace(row.life, lease_expires_at=self.lease_until(self._clock.now())))
            await repository.save_life(conn, row.id, row.life)
        return row

    async def audit(
        self, conn: Connection, writer: Writer, actor: Actor, action: str, call_id: UUID, **detail: str | int | None
    ) -> None:
        """A line of who decided what, for tenant-svc, which keeps the audit; ids and reasons only."""
        line = Line(action, Resource("call", token(call_id)), after=detail)
        fact = told(writer.tenant_id, Service.CALL_ORCHESTRATOR, actor, line, self._clock.now())
        message: Message = encode_fact(fact, self._ids.new(), Service.CALL_ORCHESTRATOR, writer.cipher)
        await self._outbox.add(conn, message)

    @staticmethod
    async def fill(conn: Connection, row: CallRow, details: CallDetails) -> CallRow:
        """``details`` added to the locked ``row``, as they stand in the table afterwards."""
        await repository.fill_details(conn, row.id, details)
        filled = await repository.lock(conn, row.id)
        assert filled is not None
        return filled
