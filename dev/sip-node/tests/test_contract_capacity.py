"""Five calls at once. livekit-sip 1.10.0 was seen to do the same; no times are asserted."""

from __future__ import annotations

import asyncio

import pytest
from sip_node.testing.agent import RoomAgent
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.media import tone_share
from sip_node.testing.outbound import OpenOutbound

pytestmark = pytest.mark.integration

CALLS = 5
SECOND = 50


async def hears(agent: RoomAgent, hertz: float) -> None:
    await agent.wait_for(lambda me: tone_share(me.heard[-8000:], hertz) > 0.8, timeout=20)


async def test_five_calls_in_at_the_same_time(bridge: Bridge, open_line: OpenLine) -> None:
    """Each in a room of its own, each hears its own agent and is heard by it, none is dropped."""
    lines = [await open_line(bridge) for _ in range(CALLS)]
    agents = [await line.agent(hertz=500 + 100 * index) for index, line in enumerate(lines)]
    calls = await asyncio.gather(*(line.call(hertz=1200 + 100 * index) for index, line in enumerate(lines)))
    for agent in agents:
        await agent.see("status", "active")
    for _, media in calls:
        await media.wait_packets(5 * SECOND, timeout=30)
    for index, (agent, (caller, media)) in enumerate(zip(agents, calls, strict=True)):
        await hears(agent, 1200 + 100 * index)
        assert tone_share(media.heard(SECOND), 500 + 100 * index) > 0.8
        assert caller.connected
    for caller, _ in calls:
        assert (await caller.hang_up()).status == 200
    for agent in agents:
        await agent.see("left")


async def test_calls_in_and_out_at_the_same_time(
    bridge: Bridge, open_line: OpenLine, open_outbound: OpenOutbound
) -> None:
    """Three in, two out: all five carry audio both ways."""
    lines = [await open_line(bridge) for _ in range(3)]
    outbound = [await open_outbound(bridge) for _ in range(2)]
    agents = [await line.agent(hertz=600) for line in lines]
    calls = await asyncio.gather(*(line.call(hertz=1200) for line in lines))
    talks = [await line.talk(hertz=800) for line in outbound]
    for agent in agents:
        await hears(agent, 1200)
    for talk in talks:
        await hears(talk.agent, 440)
        await talk.media.wait_packets(2 * SECOND, timeout=20)
        assert tone_share(talk.media.heard(SECOND), 800) > 0.8
    for caller, media in calls:
        assert tone_share(media.heard(SECOND), 600) > 0.8
        assert caller.connected
    for line in outbound:
        assert "BYE" not in line.callee.requests()
