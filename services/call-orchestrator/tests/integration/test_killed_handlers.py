"""The orchestrator's own handler, killed at every await of the fact that ends a call."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from call_orchestrator.testing import fact_table
from fleet.bus_fixtures import BusServer, new_tenant
from fleet.proofs.mortals import Mortals, until_answered
from switchboard.contracts.base import Service
from switchboard.contracts.calls import CallEnded, EndReason
from switchboard.db import Database
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WRITTEN = """
SELECT c.id, c.state,
       (SELECT count(*) FROM calls.call_events e WHERE e.call_id = c.id AND e.source = 'agent') AS events,
       (SELECT count(*) FROM calls.usage u WHERE u.call_id = c.id) AS usage,
       (SELECT count(*) FROM calls.outbox o
        WHERE o.subject LIKE '%.calls.' || replace(c.id::text, '-', '') || '.closed') AS told
FROM calls.calls c
"""


async def test_the_end_of_a_call_is_written_and_told_once_wherever_the_orchestrator_dies(
    bus_server: BusServer, migrated: MigratedDatabase
) -> None:
    """Each call's end reaches an orchestrator that dies at another await; afterwards each call has ended once, is billed
    once, and the fleet is told once."""
    agent = await bus_server.connect(Service.VOICE_AGENT)
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))

    async def end_a_call() -> UUID:
        call_id, message_id = agent.ids.new(), agent.ids.new()
        reason = EndReason.CALLER_HUNG_UP
        room = f"RM_{call_id.hex[-12:]}"
        fact = CallEnded(tenant_id=tenant_id, call_id=call_id, epoch=1, seq=1, at=NOW, room_sid=room, reason=reason)
        await agent.publish_fact(fact, message_id)
        return message_id

    async with Mortals.open(bus_server, migrated, "call_orchestrator.testing:fact_table") as mortals:
        killed, awaits = await mortals.killed_at_every_await(end_a_call)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    async with Database.open(migrated.settings("call_orchestrator"), name="living") as db:
        orchestrator.consume(fact_table(db, orchestrator))
        await until_answered(bus_server)
        await orchestrator.stop_intake()

    admin = await asyncpg.connect(migrated.admin_dsn)
    calls = await admin.fetch(WRITTEN)
    await admin.close()
    assert len(calls) > len(killed) > awaits
    once = ("ended", 1, 1, 1)
    assert {(row["state"], row["events"], row["usage"], row["told"]) for row in calls} == {once}
