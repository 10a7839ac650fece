"""One consumer that does not get on holds up nobody else: no other service, no other call."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from fleet.bus_fixtures import BusServer, new_tenant
from fleet.proofs import PATIENCE_SECONDS
from switchboard.bus import Delivery
from switchboard.bus.consumer import IN_HAND
from switchboard.contracts.base import Service
from switchboard.contracts.calls import CallEnded, EndReason
from switchboard.contracts.tenants import ConfigurationPublished

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MORE_THAN_MAY_BE_UNANSWERED = 300
"""The server gives a durable no more than 256 messages that wait for an answer."""


async def test_a_service_that_stands_still_slows_no_other_service(bus_server: BusServer) -> None:
    """rag-svc answers nothing at all; tenant-svc, which consumes the same facts, has them all."""
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    rag = await bus_server.connect(Service.RAG_SVC)
    tenant_id = await new_tenant(tenant_svc)
    stuck, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    versions: set[int] = set()

    async def stand_still(fact: ConfigurationPublished, delivery: Delivery) -> None:
        stuck.set()
        await go_on.wait()

    async def take(fact: ConfigurationPublished, delivery: Delivery) -> None:
        versions.add(fact.version)
        if len(versions) == MORE_THAN_MAY_BE_UNANSWERED:
            done.set()

    rag.consume({ConfigurationPublished: stand_still})
    tenant_svc.consume({ConfigurationPublished: take})
    for version in range(1, MORE_THAN_MAY_BE_UNANSWERED + 1):
        await tenant_svc.publish_fact(ConfigurationPublished(tenant_id=tenant_id, at=NOW, version=version))
    await asyncio.wait_for(stuck.wait(), PATIENCE_SECONDS)
    try:
        await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
    finally:
        go_on.set()


def ended(tenant_id: UUID, call_id: UUID, seq: int) -> CallEnded:
    reason = EndReason.CALLER_HUNG_UP
    return CallEnded(tenant_id=tenant_id, call_id=call_id, epoch=1, seq=seq, at=NOW, room_sid="RM_1", reason=reason)


async def test_a_call_whose_handler_stands_still_slows_no_other_call(bus_server: BusServer) -> None:
    """While one call's fact is in a handler that does not return, three times as many as may be in hand pass it; that
    call's own next fact waits for its turn."""
    agent = await bus_server.connect(Service.VOICE_AGENT)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))
    slow_call = agent.ids.new()
    go_on, begun, others_done, all_done = (asyncio.Event() for _ in range(4))
    others: set[UUID] = set()
    of_slow_call: list[int] = []

    async def take(fact: CallEnded, delivery: Delivery) -> None:
        if fact.call_id == slow_call:
            of_slow_call.append(fact.seq)
            begun.set()
            await go_on.wait()
            if fact.seq == 2:
                all_done.set()
            return
        assert fact.call_id is not None
        others.add(fact.call_id)
        if len(others) == 3 * IN_HAND:
            others_done.set()

    orchestrator.consume({CallEnded: take})
    await agent.publish_fact(ended(tenant_id, slow_call, 1))
    await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
    await agent.publish_fact(ended(tenant_id, slow_call, 2))
    for _ in range(3 * IN_HAND):
        await agent.publish_fact(ended(tenant_id, agent.ids.new(), 1))
    try:
        await asyncio.wait_for(others_done.wait(), PATIENCE_SECONDS)
        assert of_slow_call == [1]
    finally:
        go_on.set()
    await asyncio.wait_for(all_done.wait(), PATIENCE_SECONDS)
    assert of_slow_call == [1, 2]
