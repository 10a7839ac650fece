"""What a handler stands on is away for longer than a message has tries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from fleet.bus_fixtures import BusServer
from switchboard.bus import Delivery, consumer
from switchboard.contracts import calls
from switchboard.contracts.base import Service
from switchboard.errors import Unavailable

pytestmark = pytest.mark.integration


async def test_an_outage_of_what_a_handler_needs_costs_no_try_and_buries_nothing(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More failures than there are tries; the message is handled in its first delivery."""
    monkeypatch.setattr(consumer, "AWAY_DELAYS", (0.01,))
    owner = await bus_server.connect(Service.TENANT_SVC)
    tenant_id, call_id = owner.ids.new(), owner.ids.new()
    await owner.keyring.publish(tenant_id, owner.keyring.create(tenant_id))
    agent = await bus_server.connect(Service.VOICE_AGENT)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    attempts: list[int] = []
    done = asyncio.Event()

    async def handle(_: calls.CallEnded, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if len(attempts) <= 3 * len(consumer.RETRY_DELAYS):
            raise Unavailable
        done.set()

    orchestrator.consume({calls.CallEnded: handle})
    reason = calls.EndReason.CALLER_HUNG_UP
    at = datetime(2026, 3, 2, tzinfo=UTC)
    await agent.publish_fact(
        calls.CallEnded(tenant_id=tenant_id, call_id=call_id, epoch=1, seq=1, at=at, room_sid="RM_1", reason=reason)
    )
    async with asyncio.timeout(20):
        await done.wait()
    assert set(attempts) == {1}
    assert await orchestrator.dead_letters() == []
