"""What only the node does: refuse what it doesn't speak, hold its cap, keep numbers out of its log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest
from livekit import api
from livekit.protocol.sip import SIPDispatchRule, SIPDispatchRuleDirect
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration

OFFER = sdp_offer("127.0.0.1", 9)
StartBridge = Callable[..., Bridge]


async def test_pin_rules_are_refused(node: Bridge, open_line: OpenLine) -> None:
    """501 with the reason; livekit-sip answers and asks for the PIN."""
    rule = SIPDispatchRule(dispatch_rule_direct=SIPDispatchRuleDirect(room_name="pin", pin="1234"))
    line = await open_line(node, rule_target=rule)
    caller = await line.caller()
    caller.invite(OFFER)
    assert (await caller.answered()).start == "SIP/2.0 501 PIN rules need livekit-sip"


async def test_srtp_is_refused(node: Bridge, open_line: OpenLine) -> None:
    """488 with the reason; livekit-sip negotiates SDES or, with encryption off, answers RTP/AVP."""
    line = await open_line(node)
    caller = await line.caller()
    caller.invite(sdp_offer("127.0.0.1", 9, proto="RTP/SAVP"))
    assert (await caller.answered()).start == "SIP/2.0 488 SRTP needs livekit-sip"


async def test_tcp_is_not_listened_to(node: Bridge) -> None:
    """Connection refused; livekit-sip listens on TCP as well."""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*node.sip)


async def test_calls_beyond_the_cap(own_node: StartBridge, open_line: OpenLine) -> None:
    """503 and health 429 at the cap, both gone with the call; livekit-sip counts CPU, not calls."""
    node = own_node(max_active_calls=1)
    line, other = await open_line(node), await open_line(node)
    await line.agent(hertz=700)
    caller, _ = await line.call()
    assert await node.health() == (429, "UnderLoad")
    second = await other.caller()
    second.invite(OFFER)
    assert (await second.answered()).start == "SIP/2.0 503 Try again later"
    assert second.statuses() == [503]
    assert (await caller.hang_up()).status == 200
    async with asyncio.timeout(5):
        while (await node.health())[0] != 200:
            await asyncio.sleep(0.02)
    third = await other.caller()
    third.invite(OFFER)
    assert (await third.response(180)).status == 180
    third.cancel()
    assert (await third.answered()).status == 487


async def test_no_rtp_port_left(own_node: StartBridge, open_line: OpenLine) -> None:
    """500, as livekit-sip; the port of a finished call is kept for a while."""
    node = own_node(rtp_ports=2, rtp_draining_idle_timeout="1s")
    line = await open_line(node)
    await line.agent(hertz=700)
    caller, media = await line.call()
    second = await line.caller(user="15550006666")
    second.invite(OFFER)
    assert (await second.answered()).start == "SIP/2.0 500 Internal Server Error"
    assert (await caller.hang_up()).status == 200
    third = await line.caller(user="15550007777")
    third.invite(OFFER)
    assert (await third.answered()).status == 500
    media.stop()  # until then the old caller's packets keep the port from everybody else
    async with asyncio.timeout(8):
        while True:
            fourth = await line.caller(user="15550008888")
            fourth.invite(OFFER)
            if (await fourth.answered()).status == 200:
                break
    assert (await fourth.hang_up()).status == 200


async def test_reinvite_of_an_unknown_call(node: Bridge, open_line: OpenLine) -> None:
    """481; livekit-sip would start a new call under the caller's tag. One that goes back in CSeq gets 500."""
    line = await open_line(node)
    await line.agent(hertz=700)
    stranger = await line.caller()
    stranger.to_tag = "SCL_unknown"
    stranger.invite(OFFER)
    assert (await stranger.answered()).start == "SIP/2.0 481 Call does not exist"
    caller, _ = await line.call()
    before = len(caller.socket.received)
    caller.send(caller.request("INVITE", OFFER))
    again = await caller.socket.wait_for(lambda item: item.status >= 200, 5, since=before)
    assert again.status == 500
    assert (await caller.hang_up()).status == 200


async def test_log_has_no_numbers_rooms_or_identities(node: Bridge, open_line: OpenLine) -> None:
    """A whole call, an abandoned one and a refused one leave JSON lines keyed by call id, without any number."""
    line = await open_line(node)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call(user="15559990001")
    await agent.see("status", "active")
    assert (await caller.hang_up()).status == 200
    await agent.see("left")
    bad = await line.caller(user="15559990002")
    bad.invite("")
    await bad.answered()
    text = node.host.supervisor.log_of(node.name).read_text()
    assert caller.to_tag in text
    for secret in ("1555999000", line.number, line.room, "sip_1", caller.call_id, node.access.api_secret):
        assert secret not in text
    harmless = r'"timestamp": "[^"]*"|"sipCall": "[0-9a-f]{12}"'
    assert not re.search(r"\+?\d{10,}", re.sub(harmless, "", text))


async def test_a_call_gives_everything_back(node: Bridge, open_line: OpenLine) -> None:
    """Calls, ports, streams, tracks and tasks are what they were before eight calls that ended in four ways."""
    line = await open_line(node, ringing_s=1.0)
    agent = await line.agent(hertz=700)
    warm, _ = await line.call()
    await warm.hang_up()
    await settled(node)
    before = await node.holds()
    for index in range(2):
        user = f"1555888000{index}"
        caller, _ = await line.call(user=user)
        await caller.hang_up()
        cancelled = await line.caller(user=user)
        cancelled.invite(OFFER)
        cancelled.cancel()
        await cancelled.response(200, 699)
        refused = await line.caller(user=user)
        refused.invite("")
        await refused.answered()
        removed, _ = await line.call(user=user)
        await line.lk.room.remove_participant(api.RoomParticipantIdentity(room=line.room, identity=f"sip_{user}"))
        await removed.bye_from_server()
    await node.gave_back(before)
    assert agent.room.isconnected()


async def test_tracks_that_are_gone_are_not_read(node: Bridge, open_line: OpenLine) -> None:
    """A speaker who left is not read until the end of the call: the SDK's stream of such a track never ends by itself."""
    line = await open_line(node)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    await reads(node, 1)
    for index in range(3):
        speaker = await line.agent(hertz=500, identity=f"speaker-{index}")
        await reads(node, 2)
        await speaker.leave()
        await reads(node, 1)
    assert (await caller.hang_up()).status == 200


async def reads(node: Bridge, tracks: int) -> None:
    """Until the node reads so many tracks of its rooms."""
    async with asyncio.timeout(10):
        while (await node.gauges())["tracks"] != tracks:
            await asyncio.sleep(0.05)


async def settled(node: Bridge) -> None:
    async with asyncio.timeout(10):
        while (await node.gauges())["calls"]:
            await asyncio.sleep(0.05)
