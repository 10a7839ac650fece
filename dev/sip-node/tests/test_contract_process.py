"""The process: health, stopping, what it depends on. Each docstring says what livekit-sip 1.10.0 was seen to do."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable

import pytest
from fleet.hosted import HostedSupervisor
from fleet.servers import make_livekit, make_redis
from livekit import api
from livekit.protocol.room import RoomConfiguration
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.record import Observation
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration

OFFER = sdp_offer("127.0.0.1", 9)
StartBridge = Callable[..., Bridge]


async def health_becomes(bridge: Bridge, code: int) -> str:
    async with asyncio.timeout(5):
        while (answer := await bridge.health())[0] != code:
            await asyncio.sleep(0.02)
    return answer[1]


async def test_health(bridge: Bridge, observed: Observation) -> None:
    """200 with the text OK."""
    observed.real = bridge.real
    answer = await bridge.health()
    observed.note("health", answer)
    assert answer == (200, "OK")


async def test_room_config_of_the_rule_dispatches_the_agent(bridge: Bridge, open_line: OpenLine) -> None:
    """The agent named in the rule's room_config has a dispatch in the call's room, with its metadata."""
    agents = [api.RoomAgentDispatch(agent_name="receptionist", metadata="ref-1")]
    line = await open_line(bridge, room_config=RoomConfiguration(agents=agents))
    caller = await line.caller()
    caller.invite(OFFER)
    await caller.response(180)
    async with asyncio.timeout(5):
        while not (found := await line.lk.agent_dispatch.list_dispatch(line.room)):
            await asyncio.sleep(0.05)
    assert [(item.agent_name, item.metadata) for item in found] == [("receptionist", "ref-1")]
    caller.cancel()
    await caller.answered()


async def test_sigterm_finishes_the_calls(own_bridge: StartBridge, open_line: OpenLine) -> None:
    """503 Stopped on the health port, the call goes on, a new one is still taken; exit 0 after the last."""
    bridge = own_bridge()
    line, other = await open_line(bridge), await open_line(bridge)
    agent = await line.agent(hertz=700)
    await other.agent(hertz=700)
    caller, media = await line.call()
    await agent.see("status", "active")
    stopped = asyncio.create_task(bridge.host.astop(bridge.name))
    assert await health_becomes(bridge, 503) == "Stopped"
    count = len(media.packets)
    await media.wait_packets(count + 25)
    late, _ = await other.call()
    assert (await caller.hang_up()).status == 200
    assert (await late.hang_up()).status == 200
    assert await asyncio.wait_for(stopped, 15) == 0


async def test_sigint_ends_the_calls(own_bridge: StartBridge, open_line: OpenLine) -> None:
    """BYE to the answered call, 486 to the ringing one, exit 0; neither participant turns to hangup."""
    bridge = own_bridge(stop_signal=signal.SIGINT)
    line, other = await open_line(bridge), await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    ringing = await other.caller()
    ringing.invite(OFFER)
    await ringing.response(180)
    stopped = asyncio.create_task(bridge.host.astop(bridge.name))
    await caller.bye_from_server()
    assert (await ringing.response(200, 699)).status == 486
    assert await asyncio.wait_for(stopped, 15) == 0
    await agent.see("left")
    assert [value for kind, value in agent.events if kind == "status"] == ["ringing", "active"]


async def test_livekit_gone_and_back(
    own_servers: HostedSupervisor, own_bridge: StartBridge, open_line: OpenLine
) -> None:
    """503 Try again later while no server answers on the bus; calls work again when it and Redis were restarted."""
    host = own_servers
    redis = make_redis(
        host.folder / "redis", host.ports.one(), secrets.token_urlsafe(18), name="own-redis", appendonly=True
    )
    ports = (host.ports.one(), host.ports.one(), host.ports.one())
    server = make_livekit(host.folder / "lk", ports, ("devkey", secrets.token_hex(24)), redis, name="own-livekit")
    await host.astart(redis.spec, server.spec)
    bridge = own_bridge(server=server, redis=redis)
    line = await open_line(bridge)
    await host.akill("own-livekit")
    caller = await line.caller()
    caller.invite(OFFER)
    assert (await caller.answered()).start == "SIP/2.0 503 Try again later"
    assert caller.statuses() == [100, 503]
    await host.akill("own-redis")
    other = await line.caller()
    other.invite(OFFER)
    assert (await other.answered()).status == 503
    await host.arevive("own-redis")
    await host.arevive("own-livekit")
    await line.agent(hertz=700)

    async with asyncio.timeout(20):  # both programs subscribe again in their own time
        while True:
            again, media = await line.caller(), await line.media()
            again.invite(sdp_offer("127.0.0.1", media.port))
            if (await again.answered()).status == 200:
                break
    assert (await again.hang_up()).status == 200
