"""Composition root of the orchestrator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from switchboard.bus import Bus
from switchboard.clock import Clock
from switchboard.contracts.calls import END_CALL, EndCall, MediaHint
from switchboard.db import Database
from switchboard.ids import Ids
from switchboard.inbox import Inbox
from switchboard.outbox import Outbox

from call_orchestrator.adapters.livekit import Media
from call_orchestrator.admission.deferred import Deferred
from call_orchestrator.admission.service import Admission, Book, Drain, Preview
from call_orchestrator.calls.control import Control
from call_orchestrator.calls.facts import FactHandlers
from call_orchestrator.calls.queries import Queries
from call_orchestrator.calls.records import Records
from call_orchestrator.handlers import Requests
from call_orchestrator.settings import CallsSettings

SCHEMA = "calls"


@dataclass(frozen=True, slots=True)
class Parts:
    """The orchestrator without its process."""

    requests: Requests
    facts: FactHandlers
    admission: Admission
    drain: Drain


def build(db: Database, bus: Bus, book: Book, media: Media, clock: Clock, settings: CallsSettings) -> Parts:
    """Everything that answers; nothing is started."""
    ids = Ids(clock)
    records = Records(bus.keyring.cipher, Outbox(SCHEMA), clock, ids, timedelta(seconds=settings.lease_s))
    drain = Drain()
    admission = Admission(db, book, records, Deferred(), drain, clock, ids, settings.database_patience_s)

    async def tell(tenant_id: UUID, call_id: UUID, body: EndCall) -> None:
        await bus.command(END_CALL, body, tenant_id=tenant_id, call_id=call_id)

    control = Control(db, records, media, tell, clock)
    requests = Requests(admission, Preview(db, book, clock), Queries(db), control)

    async def hint(_: MediaHint) -> None:
        return

    facts = FactHandlers(db, Inbox(SCHEMA), records, hint)
    return Parts(requests, facts, admission, drain)
