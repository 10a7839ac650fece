"""The broker is killed again and again while the fleet speaks: what it has acknowledged is there, and takes effect once."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from fleet.bus_fixtures import BusServer, new_tenant, turn
from fleet.proofs import PATIENCE_SECONDS
from fleet.prove import Tried
from nats.aio.client import Client
from switchboard.bus import Bus, Delivery
from switchboard.bus.envelope import MESSAGE_ID
from switchboard.contracts.base import Service
from switchboard.contracts.calls import TurnRecorded
from switchboard.db import Database
from switchboard.errors import Unavailable
from switchboard.inbox import Inbox
from switchboard.testing.database import MigratedDatabase

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick_redelivery")]

KILLS = int(os.environ.get("BUS_KILLS", "5"))
SEED = 20260302
WRITERS = 4


@dataclass
class Ledger:
    """What publishers know."""

    acknowledged: list[UUID] = field(default_factory=list)
    stopping: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def more_than(self, count: int) -> None:
        while len(self.acknowledged) <= count:
            self.changed.clear()
            await self.changed.wait()


@pytest_asyncio.fixture
async def effects(migrated: MigratedDatabase) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A table that takes the same effect twice if it is told to."""
    admin = await asyncpg.connect(migrated.admin_dsn)
    await admin.execute("CREATE TABLE public.effects (message_id uuid NOT NULL)")
    await admin.execute("GRANT INSERT ON public.effects TO call_orchestrator")
    yield admin
    await admin.close()


async def speak(agent: Bus, tenant_id: UUID, ledger: Ledger) -> None:
    """One call's facts, each published until the broker says that it has it."""
    call_id, seq = agent.ids.new(), 0
    while not ledger.stopping:
        seq += 1
        message_id = agent.ids.new()
        fact = turn(tenant_id, call_id, seq)
        while True:
            try:
                await agent.publish_fact(fact, message_id)
                break
            except Unavailable:
                await asyncio.sleep(0.05)
        ledger.acknowledged.append(message_id)
        ledger.changed.set()
        await asyncio.sleep(0)


async def stored(client: Client) -> list[UUID]:
    js = client.jetstream()
    state = (await js.stream_info("CALLS")).state
    messages = [await js.get_msg("CALLS", seq) for seq in range(state.first_seq, state.last_seq + 1)]
    return [UUID(hex=(message.headers or {})[MESSAGE_ID]) for message in messages]


async def test_nothing_acknowledged_is_lost_by_kills_under_load(
    bus_server: BusServer,
    migrated: MigratedDatabase,
    effects: asyncpg.Connection[asyncpg.Record],
    record_property: Tried,
) -> None:
    """SIGKILL of nats-server while four calls publish as fast as it answers: every acknowledged fact is in the stream once
    and has had its effect once. Not shown here: what a power cut leaves (test_fsync.py)."""
    chance = random.Random(SEED)
    agent = await bus_server.connect(Service.VOICE_AGENT)
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    inbox, ledger = Inbox("calls"), Ledger()

    async with Database.open(migrated.settings("call_orchestrator"), name="test") as db:

        async def take(fact: TurnRecorded, delivery: Delivery) -> None:
            async with db.tenant(tenant_id) as conn:
                if await inbox.first_time(conn, "call-orchestrator-calls", delivery.message_id):
                    await conn.execute("INSERT INTO public.effects VALUES ($1)", delivery.message_id)

        orchestrator.consume({TurnRecorded: take})
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(speak(agent, tenant_id, ledger))
            for _ in range(KILLS):
                # Only a server that acknowledges again has something to lose.
                await ledger.more_than(len(ledger.acknowledged) + chance.randrange(20, 60))
                await bus_server.host.akill("nats")
                await bus_server.host.arevive("nats")
            await ledger.more_than(len(ledger.acknowledged) + WRITERS)
            ledger.stopping = True

        async with bus_server.topology() as client:
            in_stream = Counter(await stored(client))
        missing = set(ledger.acknowledged) - in_stream.keys()
        assert not missing, f"{len(missing)} of {len(ledger.acknowledged)} acknowledged facts are lost"
        assert set(in_stream.values()) == {1}

        async with asyncio.timeout(PATIENCE_SECONDS):
            while await effects.fetchval("SELECT count(DISTINCT message_id) FROM public.effects") < len(in_stream):
                await asyncio.sleep(0.1)
    happened = Counter(row["message_id"] for row in await effects.fetch("SELECT message_id FROM public.effects"))
    assert happened == in_stream
    record_property("kills", KILLS)
    record_property("acknowledged facts", len(ledger.acknowledged))
    print(f"{KILLS} kills, {len(ledger.acknowledged)} acknowledged, 0 lost, each once")  # noqa: T201
