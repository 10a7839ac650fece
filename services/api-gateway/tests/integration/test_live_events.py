"""Words of live calls, from the real bus to a Server-Sent Events reader."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from api_gateway.resources import Pace
from api_gateway.settings import Settings
from api_gateway.testing import Peers, RunningGateway, Tenant, running_gateway
from fleet.api import SwitchboardApi
from fleet.bus_fixtures import BusServer
from switchboard.bus import Bus
from switchboard.contracts import calls
from switchboard.contracts.base import Service as Name
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def words(tenant_id: UUID, call_id: UUID, text: str) -> calls.LiveWords:
    return calls.LiveWords(
        tenant_id=tenant_id, call_id=call_id, at=NOW, speaker="caller", text=Sealed(text), final=False
    )


async def test_words_sources_and_states(
    gateway: RunningGateway, bus_server: BusServer, peers: Peers, tenant: Tenant
) -> None:
    """Only this tenant's; a line break in what was said breaks nothing."""
    agent = await bus_server.connect(Name.VOICE_AGENT)
    other = await peers.new_tenant()
    call_id = uuid4()
    async with SwitchboardApi.open(gateway.base_url, tenant.api_key) as api, api.listen() as events:
        await agent.publish_live(words(other.id, uuid4(), "not for you"))
        await agent.publish_live(words(tenant.id, call_id, "how much\n\nevent: state\ndata: {}"))
        source = calls.LiveSource(
            tenant_id=tenant.id,
            call_id=call_id,
            at=NOW,
            document_name=Sealed("prices.pdf"),
            heading=Sealed("Prices"),
            text=Sealed("60 €"),
        )
        await agent.publish_live(source)
        state = calls.LiveState(tenant_id=tenant.id, call_id=call_id, at=NOW, state=calls.CallState.TALKING)
        await agent.publish_live(state)
        found = [await anext(events) for _ in range(3)]

    assert [event.kind for event in found] == ["words", "source", "state"]
    assert {event.call_id for event in found} == {str(call_id)}
    assert found[0].text == "how much\n\nevent: state\ndata: {}"
    assert (found[0].speaker, found[0].final) == ("caller", False)
    assert (found[1].document_name, found[1].text) == ("prices.pdf", "60 €")
    assert found[2].state == "talking"


async def test_one_call_only(gateway: RunningGateway, bus_server: BusServer, tenant: Tenant) -> None:
    agent = await bus_server.connect(Name.VOICE_AGENT)
    wanted = uuid4()
    async with SwitchboardApi.open(gateway.base_url, tenant.api_key) as api, api.listen(str(wanted)) as events:
        await agent.publish_live(words(tenant.id, uuid4(), "another call"))
        await agent.publish_live(words(tenant.id, wanted, "this call"))
        assert (await anext(events)).text == "this call"


async def test_signs_of_life_and_the_exact_format(
    gateway: RunningGateway, bus_server: BusServer, tenant: Tenant
) -> None:
    agent = await bus_server.connect(Name.VOICE_AGENT)
    call_id = uuid4()
    async with gateway.http.stream("GET", "/v1/live/events", headers=tenant.headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        lines = response.aiter_lines()
        assert await anext(lines) == ": listening"
        seen = [await anext(lines) for _ in range(3)]
        assert ": still here" in seen
        await agent.publish_live(words(tenant.id, call_id, "hello"))
        async for line in lines:
            if line.startswith("event: "):
                break
        assert line == "event: words"
        data = json.loads((await anext(lines)).removeprefix("data: "))
    assert data == {
        "call_id": str(call_id),
        "at": "2026-03-02T09:00:00Z",
        "speaker": "caller",
        "text": "hello",
        "final": False,
    }


async def test_streams_end_when_the_process_drains(gateway: RunningGateway, tenant: Tenant) -> None:
    async with SwitchboardApi.open(gateway.base_url, tenant.api_key) as api, api.listen() as events:
        gateway.service.stop()
        assert [event async for event in events] == []
    assert await gateway.ended == 0, "nothing had to be cut off"


async def test_a_reader_who_leaves_gives_up_the_subscription(gateway: RunningGateway, tenant: Tenant) -> None:
    """More readers than there are places, one after the other."""
    for _ in range(195):
        assert gateway.resources.listeners.take()
    for _ in range(12):
        async with gateway.http.stream("GET", "/v1/live/events", headers=tenant.headers) as response:
            assert response.status_code == 200
            await anext(response.aiter_lines())


async def test_only_so_many_readers_at_once(gateway: RunningGateway, tenant: Tenant) -> None:
    places = gateway.resources.listeners
    held = 0
    while places.take():
        held += 1
    assert held == 200
    response = await gateway.http.get("/v1/live/events", headers=tenant.headers)
    assert response.status_code == 503
    places.give_back()
    async with SwitchboardApi.open(gateway.base_url, tenant.api_key) as api, api.listen():
        pass


async def test_listening_needs_a_key(gateway: RunningGateway) -> None:
    assert (await gateway.http.get("/v1/live/events")).status_code == 401


async def test_the_stream_ends_after_its_time(
    gateway_settings: Settings, bus_server: BusServer, peers: Peers, tenant: Tenant
) -> None:
    """So that a key that was revoked does not listen for ever; the client's live_events opens it again."""
    agent = await bus_server.connect(Name.VOICE_AGENT)
    async with (
        running_gateway(gateway_settings, Pace(stream_s=0.05)) as gateway,
        SwitchboardApi.open(gateway.base_url, tenant.api_key) as api,
    ):
        async with api.listen() as events:
            assert [event async for event in events] == []
        authenticated = len(peers.asked)
        talking = asyncio.create_task(_talk(agent, tenant.id))
        async for event in api.live_events():
            assert event.text == "hello"
            if len(peers.asked) > authenticated + 1:
                break
        talking.cancel()


async def _talk(agent: Bus, tenant_id: UUID) -> None:
    while True:
        await agent.publish_live(words(tenant_id, uuid4(), "hello"))
        await asyncio.sleep(0.01)
