"""The way of a fact from one service's transaction to another's, for tests: outbox, relay, broker, consumer, inbox.

``calls.opened`` goes that way in production up to the broker; here rag-svc consumes it, which has a database of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from switchboard.bus import Bus, Delivery
from switchboard.contracts.base import Service
from switchboard.contracts.calls import CallOpened, DecisionReason, Outcome
from switchboard.db import Database
from switchboard.inbox import Inbox
from switchboard.outbox import Outbox
from switchboard.testing.database import MigratedDatabase

from fleet.bus_fixtures import BusServer, new_tenant
from fleet.process import ProcessSpec
from fleet.proofs import PATIENCE_SECONDS

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CONSUMER = "rag-svc-calls"

Place = tuple[int, int]
"""``(epoch, seq)``."""


@pytest.fixture
def opened_is_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topology and permissions follow the catalogue. Wants to stand before `bus_server`."""
    monkeypatch.setattr(CallOpened, "consumers", frozenset({Service.RAG_SVC}))


@dataclass
class Journey:
    """``seen``: what the consumer's handler was given, by call, in that order, copies left out by its inbox."""

    bus_server: BusServer
    migrated: MigratedDatabase
    tenant_id: UUID
    orchestrator: Bus
    db: Database
    consumer_db: Database
    admin: asyncpg.Connection[asyncpg.Record]
    seen: dict[UUID, list[Place]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    consumer: Bus | None = None

    async def say(self, call_id: UUID, place: Place) -> UUID:
        """One fact in a transaction of its own; its message id."""
        fact = CallOpened(
            tenant_id=self.tenant_id,
            call_id=call_id,
            epoch=place[0],
            seq=place[1],
            at=NOW,
            outcome=Outcome.TALK,
            reason=DecisionReason.OPEN,
        )
        message = await self.orchestrator.encode(fact)
        async with self.db.tenant(self.tenant_id) as conn:
            await Outbox("calls").add(conn, message)
        return message.id

    async def say_all(self, call_id: UUID, places: Iterable[Place]) -> None:
        for place in places:
            await self.say(call_id, place)

    async def until_seen(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(len(places) for places in self.seen.values()) < count:
                self.arrived.clear()
                await self.arrived.wait()

    async def effects(self) -> dict[UUID, int]:
        rows = await self.admin.fetch("SELECT message_id, count(*) AS times FROM public.effects GROUP BY 1")
        return {row["message_id"]: row["times"] for row in rows}

    def relay(self, name: str, *arguments: str) -> ProcessSpec:
        env = self.bus_server.environment(Service.CALL_ORCHESTRATOR.value)
        env["SWITCHBOARD_DATABASE__DSN"] = self.migrated.dsn("call_orchestrator")
        return ProcessSpec(name, (sys.executable, "-m", "fleet.proofs.relay", *arguments), env=env)

    async def consume(self) -> None:
        """From now on, by a connection of its own."""
        self.consumer = await self.bus_server.connect(Service.RAG_SVC)
        self.consumer.consume({CallOpened: self._take})

    async def rest(self) -> None:
        """What is in hand is done, and nothing more is taken until :meth:`consume`."""
        assert self.consumer is not None
        await self.consumer.stop_intake()

    async def _take(self, fact: CallOpened, delivery: Delivery) -> None:
        async with self.consumer_db.tenant(self.tenant_id) as conn:
            if not await Inbox("knowledge").first_time(conn, CONSUMER, delivery.message_id):
                return
            await conn.execute("INSERT INTO public.effects VALUES ($1)", delivery.message_id)
        assert fact.call_id is not None
        self.seen.setdefault(fact.call_id, []).append((fact.epoch, fact.seq))
        self.arrived.set()


@asynccontextmanager
async def open_journey(bus_server: BusServer, migrated: MigratedDatabase) -> AsyncIterator[Journey]:
    admin = await asyncpg.connect(migrated.admin_dsn)
    await admin.execute("CREATE TABLE public.effects (message_id uuid NOT NULL)")
    await admin.execute("GRANT INSERT ON public.effects TO rag_svc")
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    async with (
        Database.open(migrated.settings("call_orchestrator"), name="writer") as db,
        Database.open(migrated.settings("rag_svc"), name="consumer") as consumer_db,
    ):
        made = Journey(bus_server, migrated, tenant_id, orchestrator, db, consumer_db, admin)
        await made.consume()
        yield made
        await made.rest()
    await admin.close()


@pytest_asyncio.fixture
async def journey(
    opened_is_consumed: None,  # noqa: ARG001 - asked for before the server
    quick_redelivery: None,  # noqa: ARG001
    bus_server: BusServer,
    migrated: MigratedDatabase,
) -> AsyncIterator[Journey]:
    async with open_journey(bus_server, migrated) as made:
        yield made
