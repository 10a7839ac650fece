"""An orchestrator on real PostgreSQL and NATS with LiveKit in memory; for tests only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.envelope import decode
from switchboard.bus.topology import SNAPSHOTS
from switchboard.clock import Clock, SystemClock
from switchboard.contracts.audit import AuditRecorded
from switchboard.contracts.base import Actor, Fact, Service
from switchboard.contracts.calls import (
    ADMIT,
    GET_CALL,
    AdmitReply,
    AdmitRequest,
    CallRecord,
    GetCall,
    MediaHint,
    SipFacts,
)
from switchboard.contracts.snapshot import (
    PLATFORM_TRUNK,
    AgentConfiguration,
    NumberBinding,
    TenantSnapshot,
    TenantStatus,
)
from switchboard.db import Connection, Database
from switchboard.ids import Ids, token
from switchboard.inbox import Inbox
from switchboard.outbox import Outbox, Relay
from switchboard.sealed import Sealed
from switchboard.settings import BlobSettings, DatabaseSettings
from switchboard.snapshot import SnapshotBook, SnapshotWriter
from switchboard.tasks import end

from call_orchestrator.adapters.livekit import Media
from call_orchestrator.adapters.livekit_fake import FakeMedia
from call_orchestrator.calls.facts import FactHandlers
from call_orchestrator.calls.records import Records
from call_orchestrator.main import SCHEMA, Parts, build
from call_orchestrator.settings import CallsSettings

NUMBER = "+15550001000"
CALLER = "+15550009999"
PATIENCE_S = 10.0
AUDITED = "SELECT tenant_id, payload FROM calls.outbox WHERE subject LIKE '%.config.audited' ORDER BY seq"


class BusServer(Protocol):
    """A nats-server with the fleet's users (the fixture ``bus_server``)."""

    async def connect(self, service: Service) -> Bus: ...


def snapshot(tenant_id: UUID, number: str = NUMBER, limit: int = 5, **changes: Any) -> TenantSnapshot:
    """A live tenant with one number on the platform trunk that answers at any hour."""
    base = TenantSnapshot(
        tenant_id=tenant_id,
        version=1,
        published_at=SystemClock().now(),
        status=TenantStatus.LIVE,
        name="Clinic",
        time_zone="Europe/Madrid",
        numbers=(NumberBinding(number=number),),
        agent=AgentConfiguration(max_concurrent_calls=limit),
    )
    return base.model_copy(update=changes)


def owner(tenant_id: UUID) -> Actor:
    """Somebody who may do everything in that tenant."""
    return Actor(kind="user", id="somebody", tenant_id=tenant_id, roles=("owner",))


def admit_request(room_sid: str, dialled: str = NUMBER, trunk: str | None = PLATFORM_TRUNK) -> AdmitRequest:
    sip = SipFacts(
        sip_call_id=f"SCL_{room_sid}",
        trunk=trunk,
        dialled=Sealed(dialled),
        caller=Sealed(CALLER),
    )
    return AdmitRequest(
        room_sid=room_sid,
        room_name=Sealed(f"room-{room_sid}"),
        sip=sip,
        job_id=f"AJ_{room_sid}",
        at=SystemClock().now(),
    )


@dataclass
class Rig:
    """One orchestrator, and the connections of its neighbours."""

    db: Database
    parts: Parts
    media: Media
    book: SnapshotBook
    orchestrator: Bus
    agent: Bus
    gateway: Bus
    tenants: Bus
    writer: SnapshotWriter

    async def tenant(self, number: str = NUMBER, limit: int = 5, **changes: Any) -> UUID:
        """A tenant with a data key, its snapshot published and read."""
        tenant_id = self.tenants.ids.new()
        await self.tenants.keyring.publish(tenant_id, self.tenants.keyring.create(tenant_id))
        await self.publish(snapshot(tenant_id, number, limit, **changes))
        return tenant_id

    async def publish(self, one: TenantSnapshot) -> None:
        """Published, and read at once instead of when the watch gets to it."""
        await self.writer.publish(one)
        await self.book.apply(token(one.tenant_id), one.model_dump_json().encode())

    async def admit(self, room_sid: str, dialled: str = NUMBER, trunk: str | None = PLATFORM_TRUNK) -> AdmitReply:
        """As the job does."""
        return await self.agent.request(ADMIT, admit_request(room_sid, dialled, trunk), tenant_id=None)

    async def record(self, tenant_id: UUID, call_id: UUID) -> CallRecord:
        """As the gateway does for the tenant's owner."""
        return await self.gateway.request(
            GET_CALL, GetCall(call_id=call_id), tenant_id=tenant_id, actor=owner(tenant_id)
        )

    async def audited(self, admin: Connection) -> list[AuditRecorded]:
        """The lines for the tenants' audits, in their order; ``admin`` is a superuser's connection."""
        found = []
        for row in await admin.fetch(AUDITED):
            cipher = await self.tenants.keyring.cipher(row["tenant_id"])
            found.append(decode(AuditRecorded, bytes(row["payload"]), cipher, AuditRecorded.contract()))
        return found


@asynccontextmanager
async def rig(
    buses: BusServer,
    database: DatabaseSettings,
    folder: Path,
    *,
    clock: Clock | None = None,
    media: Media | None = None,
    settings: CallsSettings | None = None,
) -> AsyncIterator[Rig]:
    """Serving requests, consuming facts, relaying its outbox; the sweep is the test's to call."""
    clock = clock or SystemClock()
    media = media or FakeMedia(clock)
    blobs = Blobs.open(BlobSettings(url=folder.as_uri()))
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database.open(database, name="call-orchestrator"))
        bus = await buses.connect(Service.CALL_ORCHESTRATOR)
        tenants = await buses.connect(Service.TENANT_SVC)
        book = SnapshotBook(bus.bucket(SNAPSHOTS), blobs)
        parts = build(db, bus, book, media, clock, settings or CallsSettings(database_patience_s=1.5))
        await parts.requests.serve(bus)
        bus.consume(parts.facts.table())
        relay = Relay(db, SCHEMA, bus, clock.monotonic)
        tasks = [asyncio.create_task(book.run()), asyncio.create_task(relay.run())]
        await bus.flush()
        async with asyncio.timeout(PATIENCE_S):
            await book.until_caught_up()
        made = Rig(
            db=db,
            parts=parts,
            media=media,
            book=book,
            orchestrator=bus,
            agent=await buses.connect(Service.VOICE_AGENT),
            gateway=await buses.connect(Service.API_GATEWAY),
            tenants=tenants,
            writer=SnapshotWriter(tenants.bucket(SNAPSHOTS), blobs),
        )
        try:
            yield made
        finally:
            await end(*tasks)
            await bus.drain()


def fact_table(db: Database, bus: Bus) -> dict[type[Fact], Callable[..., Awaitable[None]]]:
    """The handlers of facts alone, for a consumer that dies in the middle of one."""
    clock = SystemClock()
    records = Records(bus.keyring.cipher, Outbox(SCHEMA), clock, Ids(clock), timedelta(minutes=1))

    async def nobody_listens(_hint: MediaHint) -> None:
        return

    return FactHandlers(db, Inbox(SCHEMA), records, nobody_listens).table()
