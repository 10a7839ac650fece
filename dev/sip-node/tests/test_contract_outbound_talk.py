"""Calls out after their answer. Each docstring says what livekit-sip 1.10.0 was seen to do; the node does the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from livekit import api
from livekit.protocol.sip import SIPHeaderOptions
from livekit.rtc import RpcError
from sip_node.testing.bridge import Bridge
from sip_node.testing.outbound import OpenOutbound
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration


async def test_callee_hangs_up(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """200 to the BYE, status hangup, the participant leaves."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    assert (await line.callee.hang_up()).start == "SIP/2.0 200 OK"
    await talk.agent.see("left", timeout=3)
    assert talk.agent.statuses == ["dialing", "ringing", "active", "hangup"]


async def test_room_deleted(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """BYE within the call, to the callee's Contact."""
    line = await open_outbound(bridge)
    await line.talk()
    await line.delete_room()
    bye = await line.callee.request("BYE")
    assert bye.start == f"BYE sip:callee@{line.callee.address} SIP/2.0"
    assert bye.one("cseq") == "2 BYE"
    assert f"tag={line.callee.tag}" in bye.one("to")
    assert bye.one("user-agent") == "LiveKit"


async def test_participant_removed(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """BYE; the room goes on."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    await line.lk.room.remove_participant(api.RoomParticipantIdentity(room=line.room, identity=talk.identity))
    await line.callee.request("BYE")
    await talk.agent.see("left")
    assert talk.agent.room.isconnected()


async def test_longest_call(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """BYE when max_call_duration is over, status hangup."""
    line = await open_outbound(bridge)
    talk = await line.talk(max_call_s=2.0)
    await line.callee.request("BYE", timeout=5)
    await talk.agent.see("left")
    assert talk.agent.statuses == ["dialing", "ringing", "active", "hangup"]


async def test_callee_without_audio(hooked: Any, open_outbound: OpenOutbound) -> None:
    """BYE after media_timeout_initial without a packet; the status stays active."""
    line = await open_outbound(hooked.bridge)
    agent = await line.agent(hertz=700)
    dialled = line.dial(wait_until_answered=True)
    invite = await line.callee.rings()
    line.callee.respond(invite, 180, "Ringing")
    await agent.see("track")
    line.callee.answer()
    await dialled
    ack = await line.callee.request("ACK")
    bye = await line.callee.request("BYE")
    assert 2.0 < bye.at - ack.at < 4.5
    await agent.see("left")
    assert agent.statuses == ["dialing", "ringing", "active"]


async def test_lost_ack(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """A 200 that comes again is not acknowledged again; the call goes on."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    line.callee.answer(talk.media.port)
    count = len(talk.media.packets)
    await talk.media.wait_packets(count + 40)
    assert line.callee.requests() == ["INVITE", "ACK"]


async def test_hold_by_the_callee(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """A re-INVITE gets 200 with our own description, sendrecv, narrowed to what was taken; audio follows a new address."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    moved = await line.media()
    moved.send_to(talk.invite.body)
    body = sdp_offer("127.0.0.1", moved.port).replace("sendrecv", "sendonly")
    line.callee.send("INVITE", body, ("Content-Type: application/sdp",))
    again = await line.callee.response("INVITE")
    assert again.start == "SIP/2.0 200 OK"
    answered, offered = again.body.splitlines(), talk.invite.body.splitlines()
    assert answered[-5:] == [
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]
    port = next(item for item in offered if item.startswith("m=")).split()[1]
    assert f"m=audio {port} RTP/AVP 0 101" in answered
    talk.media.stop()
    moved.start_tone(440)
    await moved.wait_packets(50)


async def test_keys_both_ways(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """A key the callee presses is one digit in the room; a key from the room is one RFC 4733 event."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    await talk.agent.see("track")
    talk.media.press(5)
    await talk.agent.see("digit", "5")
    await talk.agent.room.local_participant.publish_dtmf(code=7, digit="7")
    async with asyncio.timeout(5):
        while not any(packet.payload_type == 101 and packet.payload[1] >= 128 for packet in talk.media.packets):
            await talk.media.wait_packets(len(talk.media.packets) + 1)
    events = [packet for packet in talk.media.packets if packet.payload_type == 101]
    assert {packet.payload[0] for packet in events} == {7}
    assert len({packet.timestamp for packet in events}) == 1


async def test_headers_of_the_answer(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """X-* of the 200 as sip.h.*, mapped ones by name, a known carrier's already while ringing; mapped attributes in the
    BYE; lk.sip.GetRemoteHeaders gives the 200's; lk.sip.EndCall hangs up with headers of its own."""
    line = await open_outbound(
        bridge,
        include_headers=SIPHeaderOptions.SIP_X_HEADERS,
        headers_to_attributes={"X-Far": "far"},
        attributes_to_headers={"sip.callStatus": "X-Status"},
    )
    agent = await line.agent(hertz=700)
    dialled = line.dial(wait_until_answered=True)
    invite = await line.callee.rings()
    line.callee.respond(invite, 180, "Ringing", headers=("X-Twilio-CallSid: CA1",))
    await agent.wait_for(lambda me: me.attributes.get("sip.twilio.callSid") == "CA1")
    line.callee.answer(headers=("X-Far: 1", "X-Other: 2"))
    identity = (await dialled).participant_identity
    await agent.see("status", "active")
    attributes = agent.attributes
    assert (attributes["far"], attributes["sip.h.x-far"], attributes["sip.h.x-other"]) == ("1", "1", "2")
    assert (attributes["sip.callTag"], attributes["sip.callIDFull"]) == (line.callee.tag, invite.one("call-id"))
    local = agent.room.local_participant
    payload = json.dumps({"include": ["x-other"]})
    reply = await local.perform_rpc(destination_identity=identity, method="lk.sip.GetRemoteHeaders", payload=payload)
    assert json.loads(reply) == {"headers": {"X-Other": "2"}}
    with contextlib.suppress(RpcError):  # the participant may be gone before its answer is out
        payload = json.dumps({"headers": {"X-Why": "done"}})
        await local.perform_rpc(destination_identity=identity, method="lk.sip.EndCall", payload=payload)
    bye = await line.callee.request("BYE")
    assert bye.one("x-why") == "done"
    assert bye.one("x-status") in ("active", "hangup")
    await agent.see("status", "hangup")
