"""Composition root of the orchestrator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from litestar import Litestar
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS
from switchboard.clock import Clock
from switchboard.contracts.base import Empty
from switchboard.contracts.base import Service as Name
from switchboard.contracts.calls import END_CALL, PULSE, EndCall
from switchboard.db import Database
from switchboard.ids import Ids
from switchboard.inbox import Inbox
from switchboard.outbox import Outbox, Relay
from switchboard.service import ASGIApp, Service, run
from switchboard.service.litestar_problems import problem_handlers
from switchboard.settings import LiveKitSettings, load_or_exit
from switchboard.snapshot import SnapshotBook

from call_orchestrator.adapters.livekit import LiveKitMedia, Media
from call_orchestrator.admission.deferred import Deferred
from call_orchestrator.admission.service import Admission, Book, Drain, Preview
from call_orchestrator.calls.control import Control
from call_orchestrator.calls.facts import FactHandlers
from call_orchestrator.calls.queries import Queries
from call_orchestrator.calls.records import Records
from call_orchestrator.handlers import Requests
from call_orchestrator.ops.endpoints import router
from call_orchestrator.ops.service import Operations
from call_orchestrator.settings import CallsSettings, Settings
from call_orchestrator.watch.decisions import Policy
from call_orchestrator.watch.driver import Watch
from call_orchestrator.watch.ledger import Ledger
from call_orchestrator.watch.pulse import Pulse

SCHEMA = "calls"
PRUNE_EVERY_S = 3600.0
KEEP_ATTEMPTS = timedelta(days=1)
KEEP_MESSAGES = timedelta(days=14)
"""Twice as long as the stream keeps a fact that could come again."""
KEEP_UNMATCHED = timedelta(days=90)

OpenMedia = Callable[[LiveKitSettings, str], AbstractAsyncContextManager[Media]]


@dataclass(frozen=True, slots=True)
class Parts:
    """The orchestrator without its process."""

    requests: Requests
    facts: FactHandlers
    admission: Admission
    watch: Watch
    pulse: Pulse
    operations: Operations
    housekeeping: Housekeeping


class Housekeeping:
    """What each sweep does besides looking at rooms."""

    def __init__(self, admission: Admission, ledger: Ledger, drain: Drain, clock: Clock) -> None:
        self._admission = admission
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._pruned_at: float | None = None

    async def __call__(self) -> None:
        self._drain.on = await self._ledger.draining()
        await self._admission.flush()
        now = self._clock.monotonic()
        if self._pruned_at is None or now - self._pruned_at >= PRUNE_EVERY_S:
            await self._ledger.prune(KEEP_ATTEMPTS, KEEP_MESSAGES, KEEP_UNMATCHED)
            self._pruned_at = now


def build(db: Database, bus: Bus, book: Book, media: Media, clock: Clock, settings: CallsSettings) -> Parts:
    """Everything that answers and watches; nothing is started."""
    ids = Ids(clock)
    records = Records(bus.keyring.cipher, Outbox(SCHEMA), clock, ids, timedelta(seconds=settings.lease_s))
    drain = Drain()

    async def tell(tenant_id: UUID, call_id: UUID, body: EndCall) -> None:
        await bus.command(END_CALL, body, tenant_id=tenant_id, call_id=call_id)

    async def ask(tenant_id: UUID, call_id: UUID) -> None:
        await bus.command(PULSE, Empty(), tenant_id=tenant_id, call_id=call_id)

    admission = Admission(db, book, records, Deferred(), drain, ask, clock, ids, settings.database_patience_s)
    control = Control(db, records, media, tell, clock)
    ledger = Ledger(db, book, records, clock, ids)
    watch = Watch(media, ledger, policy(settings), clock, lambda: bus.is_connected)
    return Parts(
        requests=Requests(admission, Preview(db, book, clock), Queries(db), control),
        facts=FactHandlers(db, Inbox(SCHEMA), records, watch.hint),
        admission=admission,
        watch=watch,
        pulse=Pulse(ledger.live, ask, watch.job_lost, records.lease, clock),
        operations=Operations(db, ledger, watch, admission, drain, bus.dead_letters, clock),
        housekeeping=Housekeeping(admission, ledger, drain, clock),
    )


def policy(settings: CallsSettings) -> Policy:
    return Policy(
        join_within=timedelta(seconds=settings.join_within_s),
        attempts=settings.dispatch_attempts,
        grace=timedelta(seconds=settings.hangup_grace_s),
    )


async def compose(service: Service[Settings], open_media: OpenMedia = LiveKitMedia.open) -> ASGIApp | None:
    settings = service.settings
    db = await service.enter(Database.open(settings.database, name=service.name))
    # Calls are answered from the snapshot while the database is away: degraded, not unable.
    service.health.degradable("postgres", db.ready)
    media = await service.enter(open_media(settings.livekit, settings.calls.agent_name))
    service.health.degradable("livekit", media.rooms)
    bus = await Bus.connect(
        settings.nats,
        settings.sealing,
        Name.CALL_ORCHESTRATOR,
        clock=service.clock,
        on_closed=lambda: service.fatal("the bus is closed"),
    )
    service.on_close(bus.drain)
    service.on_drain(bus.stop_intake)
    book = SnapshotBook(bus.bucket(SNAPSHOTS), Blobs.open(settings.blobs))
    parts = build(db, bus, book, media, service.clock, settings.calls)
    service.background("snapshots", book.run())
    service.background("outbox relay", Relay(db, SCHEMA, bus, service.clock.monotonic).run())
    await book.until_caught_up()
    await parts.requests.serve(bus)
    bus.consume(parts.facts.table())
    sweep_every = timedelta(seconds=settings.calls.sweep_every_s)
    service.background("pulse", parts.pulse.run(timedelta(seconds=settings.calls.pulse_every_s)))
    service.background("watch", parts.watch.run(sweep_every, parts.housekeeping))
    return Litestar(
        route_handlers=[router(parts.operations, settings.operators.token.get_secret_value())],
        exception_handlers=problem_handlers(),
        openapi_config=None,
        logging_config=None,
    )


def main() -> None:
    """The process."""
    run(Name.CALL_ORCHESTRATOR.value, load_or_exit(Settings), compose)
