"""Calls that are answered. Each docstring says what livekit-sip 1.10.0 was seen to do."""

from __future__ import annotations

import pytest
from sip_node.testing.media import tone_share

pytestmark = pytest.mark.integration


async def test_answered_call_carries_audio_both_ways(bridge, open_line):
    line = await open_line(bridge, attributes={"tenant": "t1"}, metadata="reference")
    agent = await line.agent(hertz=700)
    caller, media = await line.call(hertz=440)
    await agent.see("status", "active")
    await media.wait_packets(100)
    await agent.wait_for(lambda me: tone_share(me.heard[-8000:], 440) > 0.9)
    assert tone_share(media.heard(50), 700) > 0.9
    print(
        caller.statuses(),
        agent.events,
        agent.attributes_at_join,
        agent.attributes,
        agent.caller_track,
        agent.caller_kind,
    )
    for m in caller.socket.received:
        print(m.start, m.headers, m.body)
    await caller.hang_up()
    await agent.see("left")
    print(agent.events)
