"""Parts of the bus that need no tenant: buckets, and a consumer that breaks."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from fleet.bus_fixtures import BusServer
from switchboard.bus import Delivery
from switchboard.bus.consumer import RETRY_DELAYS
from switchboard.bus.kv import Bucket
from switchboard.contracts import calls
from switchboard.contracts.base import Service
from switchboard.errors import Conflict

pytestmark = pytest.mark.integration


async def test_a_consumer_that_breaks_ends_its_process(bus_server: BusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error outside a handler, which nothing catches, must not leave a process that looks well and consumes nothing."""
    ended = asyncio.Event()
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR, on_closed=ended.set)

    async def broken(self: object, subscription: object, most: int) -> list[object]:
        raise RuntimeError("broken")

    monkeypatch.setattr("switchboard.bus.consumer.ConsumerLoop._fetch", broken)
    orchestrator.consume({calls.CallEnded: _ignore})
    await asyncio.wait_for(ended.wait(), 10)


async def _ignore(fact: calls.CallEnded, delivery: Delivery) -> None:
    return


async def test_a_bucket_compares_before_it_sets(bus_server: BusServer) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    bucket: Bucket = tenant_svc.bucket("snapshots")
    key = uuid.uuid4().hex
    await bucket.compare_and_set(key, b"one", 0)
    entry = await bucket.entry(key)
    assert entry is not None
    with pytest.raises(Conflict):
        await bucket.compare_and_set(key, b"lost update", 0)
    await bucket.compare_and_set(key, b"two", entry.revision)
    with pytest.raises(Conflict):
        await bucket.compare_and_set(key, b"lost update", entry.revision)
    assert await bucket.get(key) == b"two"


async def test_a_bucket_lists_every_key_that_is_there(bus_server: BusServer) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    bucket: Bucket = tenant_svc.bucket("audit-heads")
    before = set(await bucket.keys())
    keys = [uuid.uuid4().hex for _ in range(20)]
    for key in keys:
        await bucket.put(key, b"one")
    for gone in range(len(keys)):
        assert set(await bucket.keys()) == before | set(keys[gone:])
        await bucket.purge(keys[gone])
    assert set(await bucket.keys()) == before


def test_the_last_delay_is_the_longest() -> None:
    assert list(RETRY_DELAYS) == sorted(RETRY_DELAYS)


async def test_after_a_flush_the_server_knows_every_subscription(bus_server: BusServer) -> None:
    """What was asked for just before is in force, however full the client's own buffer was."""
    gateway = await bus_server.connect(Service.API_GATEWAY)
    agent = await bus_server.connect(Service.VOICE_AGENT)
    live = f"live.{uuid.uuid4().hex}.{uuid.uuid4().hex}.state"
    for _ in range(50):
        heard = asyncio.Event()

        async def hear(_: object, heard: asyncio.Event = heard) -> None:
            heard.set()

        subscription = await gateway._client.subscribe(live, cb=hear)
        await gateway.flush()
        await agent._client.publish(live, b"{}")
        await asyncio.wait_for(heard.wait(), 10)
        await subscription.unsubscribe()
