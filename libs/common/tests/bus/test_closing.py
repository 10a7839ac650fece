"""How a service leaves the bus, and what it is told while the bus is away."""

from __future__ import annotations

import asyncio
import uuid

import nats.errors
import pytest
from fleet.bus_fixtures import BusServer, new_tenant
from switchboard.bus import Bus, Call
from switchboard.contracts import calls, tenants
from switchboard.contracts.base import Empty, Service
from switchboard.errors import Conflict, NoResponder, NotFound, Unavailable
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration


async def gone(bus_server: BusServer, *buses: Bus) -> None:
    """Kill the server, and wait until everybody has noticed."""
    await bus_server.host.akill("nats")
    async with asyncio.timeout(10):
        while any(bus.is_connected for bus in buses):
            await asyncio.sleep(0.01)


async def test_after_the_intake_has_stopped_the_bus_can_still_be_spoken_on(bus_server: BusServer) -> None:
    """What is in hand is answered, what is new finds nobody, and publishing goes on until the bus is closed."""
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(body: Empty, call: Call) -> tenants.Published:
        begun.set()
        await go_on.wait()
        raise NotFound("answered")

    await tenant_svc.serve(tenants.PUBLISH, handler)
    await tenant_svc.flush()
    asking = asyncio.create_task(gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id))
    await begun.wait()
    stopping = asyncio.create_task(tenant_svc.stop_intake())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    with pytest.raises(NotFound):
        await asking
    await tenant_svc.flush()
    with pytest.raises(NoResponder):
        await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id)
    await tenant_svc.stop_intake()
    assert tenant_svc.is_connected
    await tenant_svc.publish_fact(tenants.TenantCreated(tenant_id=tenant_id, at=tenant_svc._clock.now()))


async def test_a_bus_that_is_away_is_closed_all_the_same(bus_server: BusServer) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)

    async def handler(body: Empty, call: Call) -> tenants.Published:
        raise Conflict

    await tenant_svc.serve(tenants.PUBLISH, handler)
    await gone(bus_server, tenant_svc)
    async with asyncio.timeout(10):
        await tenant_svc.drain()
    with pytest.raises(Unavailable):
        await tenant_svc.serve(tenants.PUBLISH, handler)


async def test_listening_to_live_calls_on_a_closed_bus_is_said_to_be_impossible_now(bus_server: BusServer) -> None:
    gateway = await bus_server.connect(Service.API_GATEWAY)
    await gateway.drain()
    with pytest.raises(Unavailable):
        async with gateway.live(uuid.uuid4()):
            raise AssertionError("must not be reached")


@pytest.mark.parametrize("error", [nats.errors.ConnectionReconnectingError, nats.errors.StaleConnectionError, OSError])
async def test_whatever_the_connection_says_its_user_hears_that_the_bus_is_away(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    gateway = await bus_server.connect(Service.API_GATEWAY)

    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(gateway._client, "request", fail)
    with pytest.raises(Unavailable):
        await gateway.request(tenants.GET_TENANT, Empty(), tenant_id=None)


async def test_live_words_of_a_tenant_without_a_key_are_lost_without_an_error(bus_server: BusServer) -> None:
    agent = await bus_server.connect(Service.VOICE_AGENT)
    said = calls.LiveWords(
        tenant_id=uuid.uuid4(),
        call_id=uuid.uuid4(),
        at=agent._clock.now(),
        speaker="caller",
        text=Sealed("hello"),
        final=True,
    )
    await agent.publish_live(said)
