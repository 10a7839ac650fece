"""The facts that a live call leaves, in any order, any number of times: each in one transaction with inbox and outbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
from switchboard.bus import Delivery
from switchboard.contracts.base import CallFact, Fact
from switchboard.contracts.calls import (
    CallAnswered,
    CallEnded,
    ConversationSaved,
    DecidedAlone,
    MediaHint,
    TurnRecorded,
)
from switchboard.db import PLATFORM_TENANT, Connection, Database
from switchboard.errors import InvalidInput
from switchboard.inbox import Inbox
from switchboard.telemetry import PROCESS, bound

from call_orchestrator.calls import machine, repository
from call_orchestrator.calls.models import CallDetails, CallRow, StoredDecision
from call_orchestrator.calls.records import Records
from call_orchestrator.calls.repository import EventRecord

_log = structlog.get_logger(__name__)

CONSUMER = "call-orchestrator-calls"

# Counted here, since nobody can scrape a call's own process. The endpoint is the operators' name: one of a few.
PROVIDER_FAULTS = PROCESS.counter(
    "switchboard.provider.faults", "Providers that failed in a turn", ("stage", "endpoint", "fault")
)

OnHint = Callable[[MediaHint], Awaitable[None]]
Handler = Callable[[Fact, Delivery], Awaitable[None]]


class FactHandlers:
    """Handlers for :meth:`switchboard.bus.Bus.consume`. ``on_hint`` hears each LiveKit hint once."""

    def __init__(self, db: Database, inbox: Inbox, records: Records, on_hint: OnHint) -> None:
        self._db = db
        self._inbox = inbox
        self._records = records
        self._on_hint = on_hint

    def table(self) -> dict[type[Fact], Callable[..., Awaitable[None]]]:
        return {
            CallAnswered: self.answered,
            TurnRecorded: self.turn,
            ConversationSaved: self.conversation,
            CallEnded: self.ended,
            MediaHint: self.hint,
        }

    async def answered(self, fact: CallAnswered, delivery: Delivery) -> None:
        async def more(conn: Connection, row: CallRow) -> None:
            await repository.set_configuration(conn, row.id, fact.configuration_version, degraded=fact.degraded)
            await self._fill(conn, row, fact.alone)

        event = machine.Answered(fact.epoch, fact.seq, fact.at)
        await self._job_fact(fact, delivery, event, fact.room_sid, more)

    async def turn(self, fact: TurnRecorded, delivery: Delivery) -> None:
        async def more(conn: Connection, row: CallRow) -> None:
            await repository.put_turn(conn, row.id, fact)
            for fault in fact.faults:
                PROVIDER_FAULTS.labels(fault.stage, fault.endpoint, fault.fault).inc()

        await self._job_fact(fact, delivery, machine.Spoke(fact.epoch, fact.seq, fact.at), None, more)

    async def conversation(self, fact: ConversationSaved, delivery: Delivery) -> None:
        async def more(conn: Connection, row: CallRow) -> None:
            await repository.put_conversation(conn, row.id, fact)

        await self._job_fact(fact, delivery, machine.Spoke(fact.epoch, fact.seq, fact.at), None, more)

    async def ended(self, fact: CallEnded, delivery: Delivery) -> None:
        async def more(conn: Connection, row: CallRow) -> None:
            await self._fill(conn, row, fact.alone)

        event = machine.JobEnded(fact.epoch, fact.seq, fact.at, fact.reason)
        await self._job_fact(fact, delivery, event, fact.room_sid, more)

    async def _fill(self, conn: Connection, row: CallRow, alone: DecidedAlone | None) -> None:
        """What admission would have written down, had it been asked."""
        if alone is not None:
            details = CallDetails.of(alone.request, StoredDecision.of_job(alone))
            await self._records.fill(conn, row, details)

    async def hint(self, fact: MediaHint, delivery: Delivery) -> None:
        """A hint only says where to look: it never changes a record by itself, so a late or false one can't harm."""
        async with self._db.tenant(PLATFORM_TENANT) as conn:
            if not await self._inbox.first_time(conn, CONSUMER, delivery.message_id):
                return
        await self._on_hint(fact)

    async def _job_fact(
        self,
        fact: CallFact,
        delivery: Delivery,
        event: machine.JobFact,
        room_sid: str | None,
        more: Callable[[Connection, CallRow], Awaitable[None]],
    ) -> None:
        if fact.tenant_id is None or fact.call_id is None:
            # A call that belongs to nobody was recorded when it was refused; there is nothing to add.
            _log.info("fact of an unmatched call", kind=fact.fact)
            return
        writer = await self._records.writer(fact.tenant_id)
        with bound(tenant_id=fact.tenant_id, call_id=fact.call_id):
            async with self._db.tenant(fact.tenant_id) as conn:
                if not await self._inbox.first_time(conn, CONSUMER, delivery.message_id):
                    return
                row = await self._records.find_or_open(conn, fact.call_id, fact.call_id, room_sid, fact.at)
                if row is None:
                    raise InvalidInput("the ids of this fact belong to another call")
                if await repository.event_exists(conn, row.id, "agent", fact.epoch, fact.seq):
                    return
                record = EventRecord("agent", fact.fact, "", fact.epoch, fact.at, fact.seq)
                step = await self._records.apply(conn, writer, row, event, record)
                if step.verdict is machine.Verdict.STALE:
                    _log.warning("stale epoch refused", kind=fact.fact, epoch=fact.epoch, current=step.call.epoch)
                    return
                await more(conn, replace(row, life=step.call))
