"""Two copies of one service on one durable: who gets what, and what of it is delivered again."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from fleet.bus_fixtures import BusServer
from nats.aio.client import Client
from prometheus_client import REGISTRY
from switchboard.bus import Bus, Call, Delivery
from switchboard.bus.connection import connect
from switchboard.bus.topology import Consumer, _config, consumers
from switchboard.contracts import documents
from switchboard.contracts.base import Empty, Service
from switchboard.contracts.calls import PULSE
from switchboard.errors import DeadlineExceeded, NoResponder

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHORT = 1.0


def progress(tenant_id: uuid.UUID, document_id: uuid.UUID, revision: int) -> documents.DocumentProgress:
    return documents.DocumentProgress(
        tenant_id=tenant_id,
        document_id=document_id,
        at=NOW,
        revision=revision,
        status=documents.DocumentStatus.PARSING,
    )


async def new_tenant(bus_server: BusServer) -> uuid.UUID:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = tenant_svc.ids.new()
    await tenant_svc.keyring.publish(tenant_id, tenant_svc.keyring.create(tenant_id))
    return tenant_id


def durable() -> Consumer:
    return next(one for one in consumers() if one.durable == "rag-svc-documents")


async def user(bus_server: BusServer, name: str) -> Client:
    client = await connect(bus_server.settings(name), name="t", inbox=f"_INBOX_{name}")
    bus_server.stack.push_async_callback(client.close)
    return client


class Copy:
    """One copy of rag-svc. Every revision that it sees is in ``seen``; revision 1 stays in hand until ``go``."""

    @classmethod
    async def connect(cls, bus_server: BusServer) -> Copy:
        made = cls(await bus_server.connect(Service.RAG_SVC))
        bus_server.stack.callback(made.go.set)  # before the bus is drained, also when the test has failed
        return made

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.seen: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self.go = asyncio.Event()

    async def handle(self, fact: documents.DocumentProgress, delivery: Delivery) -> None:
        self.seen.put_nowait((fact.revision, delivery.attempt))
        if fact.revision == 1:
            await self.go.wait()


async def test_a_busy_copy_leaves_the_rest_to_the_others(bus_server: BusServer) -> None:
    """A copy that takes one at a time holds one, and no more, while another one is free."""
    tenant_id = await new_tenant(bus_server)
    worker = await bus_server.connect(Service.INGEST_WORKER)
    busy, free = await Copy.connect(bus_server), await Copy.connect(bus_server)
    for revision in range(1, 6):
        await worker.publish_fact(progress(tenant_id, worker.ids.new(), revision))
    busy.bus.consume({documents.DocumentProgress: busy.handle}, at_once=1)
    assert await asyncio.wait_for(busy.seen.get(), 10) == (1, 1)
    assert REGISTRY.get_sample_value("switchboard_bus_in_hand", {"durable": "rag-svc-documents"}) == 1
    free.bus.consume({documents.DocumentProgress: free.handle}, at_once=1)
    assert [await asyncio.wait_for(free.seen.get(), 10) for _ in range(4)] == [(n, 1) for n in range(2, 6)]


async def test_what_waits_in_a_living_copy_is_not_delivered_again(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind another one of its document it is not being handled yet, but it is in hand; what a dead copy had is not."""
    monkeypatch.setattr("switchboard.bus.consumer.ACK_WAIT_SECONDS", SHORT)
    topology = (await user(bus_server, "topology")).jetstream()
    shorter = _config(durable())
    shorter.ack_wait = SHORT
    await topology.add_consumer(durable().stream, shorter)
    tenant_id = await new_tenant(bus_server)
    worker = await bus_server.connect(Service.INGEST_WORKER)
    document_id = worker.ids.new()
    for revision in (1, 2):
        await worker.publish_fact(progress(tenant_id, document_id, revision))
    living, other = await Copy.connect(bus_server), await Copy.connect(bus_server)
    # With two in hand it takes no third one.
    living.bus.consume({documents.DocumentProgress: living.handle}, at_once=2)
    assert await asyncio.wait_for(living.seen.get(), 10) == (1, 1)
    await worker.publish_fact(progress(tenant_id, worker.ids.new(), 3))
    dead = (await user(bus_server, "rag-svc")).jetstream()
    taken = await (await dead.pull_subscribe_bind(durable().durable, durable().stream)).fetch(1, timeout=5)
    assert len(taken) == 1

    other.bus.consume({documents.DocumentProgress: other.handle})
    # The dead copy took the third after the living one had taken the first two: their time was up before.
    assert await asyncio.wait_for(other.seen.get(), 10) == (3, 2)
    living.go.set()
    assert await asyncio.wait_for(living.seen.get(), 10) == (2, 1)
    assert other.seen.empty()


async def test_a_job_answers_as_long_as_it_lives(bus_server: BusServer) -> None:
    """And not a moment longer: the broker says that nobody is there."""
    tenant_id = await new_tenant(bus_server)
    job, orchestrator = (
        await bus_server.connect(Service.VOICE_AGENT),
        await bus_server.connect(Service.CALL_ORCHESTRATOR),
    )
    call_id = job.ids.new()

    async def here(body: Empty, call: Call) -> Empty:
        return body

    await job.serve_command(PULSE, tenant_id, call_id, here)
    await job.flush()
    assert await orchestrator.command(PULSE, Empty(), tenant_id=tenant_id, call_id=call_id) == Empty()
    await job.drain()
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await orchestrator.command(PULSE, Empty(), tenant_id=tenant_id, call_id=call_id)
            except NoResponder:
                break
            except DeadlineExceeded:
                continue  # asked before the broker had read that the job's connection was closed
            pytest.fail(f"somebody answered: {answer}")
