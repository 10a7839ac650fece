"""A consumer that is killed at every await of a message's way, one after the other, and what became of each message."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import asyncpg
import pytest
from fleet.bus_fixtures import BusServer, new_tenant, turn
from fleet.proofs.awaits import stepped
from fleet.proofs.mortal import effect
from fleet.proofs.mortals import Mortals, until_answered
from fleet.prove import Tried
from switchboard.bus import Bus
from switchboard.contracts.base import Service
from switchboard.db import Database
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration


async def publish(agent: Bus, tenant_id: UUID) -> UUID:
    """A fact of a call of its own; its message id."""
    message_id, fact = agent.ids.new(), turn(tenant_id, agent.ids.new(), 1)
    await agent.publish_fact(fact, message_id)
    return message_id


async def test_a_handler_killed_at_any_await_runs_again_and_its_effect_happens_once(
    bus_server: BusServer, migrated: MigratedDatabase, record_property: Tried
) -> None:
    """Message after message: the first one's consumer dies at the first await of its way, as what is awaited has begun and
    as it has ended; the next one's at the second; until ways are over before it comes to dying. Then one that lives
    takes what is left. Some died before their transaction was committed and some after it: both kinds must be there."""
    agent = await bus_server.connect(Service.VOICE_AGENT)
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))
    admin = await asyncpg.connect(migrated.admin_dsn)
    await admin.execute("CREATE TABLE public.effects (message_id uuid NOT NULL)")
    await admin.execute("GRANT INSERT ON public.effects TO call_orchestrator")
    committed: list[UUID] = []

    async def look(message_id: UUID) -> None:
        if message_id in await effects(admin):
            committed.append(message_id)

    async with Mortals.open(bus_server, migrated) as mortals:
        killed, awaits = await mortals.killed_at_every_await(lambda: publish(agent, tenant_id), look)
    assert 0 < len(committed) < len(killed), "nobody died before, or nobody after the commit"

    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    async with Database.open(migrated.settings("call_orchestrator"), name="living") as db:
        orchestrator.consume(effect(db, orchestrator))
        await until_answered(bus_server)
        await orchestrator.stop_intake()
    happened = await effects(admin)
    said = await admin.fetch("SELECT payload FROM calls.outbox")
    await admin.close()
    assert set(killed) <= happened.keys()
    assert set(happened.values()) == {1}, "an effect happened twice"
    assert Counter(UUID(bytes=row["payload"]) for row in said) == happened
    record_property("awaits", awaits)
    record_property("kills", len(killed))
    print(f"{awaits} awaits, {len(killed)} killed, {len(committed)} of them after the commit")  # noqa: T201


async def effects(admin: asyncpg.Connection[asyncpg.Record]) -> Counter[UUID]:
    return Counter(row["message_id"] for row in await admin.fetch("SELECT message_id FROM public.effects"))


async def test_every_suspension_is_told_twice_and_errors_pass_through() -> None:
    """The means itself: numbers, moments, results and exceptions of what is driven."""
    told: list[tuple[int, str]] = []

    async def work() -> str:
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        return "done"

    assert await stepped(work(), lambda number, moment: told.append((number, moment))) == "done"
    assert told == [(1, "begun"), (1, "ended"), (2, "begun"), (2, "ended")]
