"""Calls that are answered. Each docstring says what livekit-sip 1.10.0 was seen to do; the node does the same."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from livekit.protocol.sip import SIPHeaderOptions
from livekit.rtc import RpcError
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.media import tone_share
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration


async def test_answered_call_carries_audio_both_ways(bridge: Bridge, open_line: OpenLine) -> None:
    """100 Processing, 180 Ringing, 200 with one codec and telephone-event, sendrecv, ptime 20; both tones are heard."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, media = await line.call(hertz=440)
    await agent.see("status", "active")
    await media.wait_packets(100)
    await agent.wait_for(lambda me: tone_share(me.heard[-8000:], 440) > 0.9)
    assert tone_share(media.heard(50), 700) > 0.9
    assert caller.statuses() == [100, 180, 200]
    answer = await caller.response(200)
    assert answer.one("contact") == f"<sip:{bridge.sip[0]}:{bridge.sip[1]};transport=udp>"
    lines = answer.body.splitlines()
    assert "s=LiveKit" in lines
    assert [item for item in lines if item.startswith("a=")] == [
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]


async def test_first_responses_look_alike(bridge: Bridge, open_line: OpenLine) -> None:
    """Via with rport and received, the call id as To tag from 100 on, Allow, the phrase "Processing"."""
    line = await open_line(bridge)
    caller = await line.caller()
    caller.invite(sdp_offer("127.0.0.1", 9))
    trying, ringing = await caller.response(100), await caller.response(180)
    port = caller.socket.address[1]
    assert trying.start == "SIP/2.0 100 Processing"
    assert ringing.start == "SIP/2.0 180 Ringing"
    assert ringing.to_tag.startswith("SCL_")
    assert trying.to_tag == ringing.to_tag
    assert ringing.one("via").endswith(f"branch={caller.branch};rport={port};received=127.0.0.1")
    assert ringing.one("allow") == "INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE"
    caller.cancel()
    await caller.answered()


async def test_participant_identity_kind_and_attributes(bridge: Bridge, open_line: OpenLine) -> None:
    """Identity sip_<number>, name "Phone <number>", kind SIP, a microphone track, and these attributes."""
    line = await open_line(bridge, attributes={"tenant": "t1"}, metadata="reference")
    agent = await line.agent(hertz=700)
    caller, _ = await line.call(user="15550001111")
    await agent.see("status", "active")
    await agent.see("track")
    participant = agent.room.remote_participants["sip_15550001111"]
    assert participant.name == "Phone 15550001111"
    assert participant.metadata == "reference"
    assert agent.caller_kind == 3
    assert agent.caller_track == ("sip_15550001111", 2)
    assert dict(participant.attributes) == {
        "sip.callID": caller.to_tag,
        "sip.callIDFull": caller.call_id,
        "sip.callStatus": "active",
        "sip.callTag": caller.from_tag,
        "sip.hostname": "127.0.0.1",
        "sip.phoneNumber": "15550001111",
        "sip.ruleID": line.rule_id,
        "sip.trunkID": line.trunk_id,
        "sip.trunkPhoneNumber": line.number,
        "tenant": "t1",
    }


async def test_status_is_ringing_then_active_then_hangup(bridge: Bridge, open_line: OpenLine) -> None:
    """The participant is first seen ringing, turns active after the answer, hangup before it leaves."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    assert (await caller.hang_up()).status == 200
    await agent.see("left")
    assert [value for kind, value in agent.events if kind == "status"] == ["ringing", "active", "hangup"]
    assert agent.events[0] == ("joined", f"sip_{caller.user}")
    assert agent.events[-1] == ("left", f"sip_{caller.user}")


async def test_hidden_number_masks_identity(bridge: Bridge, open_line: OpenLine) -> None:
    """With hide_phone_number the identity is a hash and neither number nor host are attributes."""
    line = await open_line(bridge, hide_phone_number=True)
    agent = await line.agent(hertz=700)
    await line.call(user="15550002222")
    await agent.see("status", "active")
    identity = next(value for kind, value in agent.events if kind == "joined")
    assert "15550002222" not in identity + json.dumps(agent.attributes)
    assert "sip.phoneNumber" not in agent.attributes


async def test_headers_become_attributes(bridge: Bridge, open_line: OpenLine) -> None:
    """X-* as sip.h.<lower-case name> when the trunk says so, mapped names, Twilio's account always."""
    trunk = {
        "include_headers": SIPHeaderOptions.SIP_X_HEADERS,
        "headers_to_attributes": {"X-Clinic": "clinic"},
        "headers": {"X-Answered-By": "node"},
        "attributes_to_headers": {"sip.callStatus": "X-Status"},
    }
    line = await open_line(bridge, trunk=trunk)
    agent = await line.agent(hertz=700)
    headers = ("X-Clinic: north", "X-Twilio-AccountSid: AC123", "X-Other: z", "Subject: no")
    caller, _ = await line.call(extra_headers=headers)
    await agent.see("status", "active")
    assert agent.attributes["clinic"] == "north"
    assert agent.attributes["sip.twilio.accountSid"] == "AC123"
    assert {key: value for key, value in agent.attributes.items() if key.startswith("sip.h.")} == {
        "sip.h.x-clinic": "north",
        "sip.h.x-twilio-accountsid": "AC123",
        "sip.h.x-other": "z",
    }
    answer = await caller.response(200)
    assert answer.one("x-answered-by") == "node"
    assert answer.one("x-status") == "ringing"
    await line.delete_room()
    bye = await caller.bye_from_server()
    assert bye.one("x-status") == "active"


async def test_rings_until_somebody_speaks(bridge: Bridge, open_line: OpenLine) -> None:
    """A silent participant in the room is no reason to answer; its first audio track is. 180 is repeated every second."""
    line = await open_line(bridge)
    agent = await line.agent()
    caller, media = await line.caller(), await line.media()
    caller.invite(sdp_offer("127.0.0.1", media.port))
    await agent.see("status", "ringing")
    with pytest.raises(TimeoutError):
        await caller.response(200, 699, timeout=2.3)
    assert caller.statuses().count(180) == 3
    assert media.packets == []
    await agent.speak(700)
    assert (await caller.answered()).status == 200


async def test_second_sip_caller_unblocks_a_room_without_audio(bridge: Bridge, open_line: OpenLine) -> None:
    """A SIP participant counts as somebody who will speak: with one in the room, the second call is answered."""
    line = await open_line(bridge)
    first = await line.caller(user="15550003333")
    first.invite(sdp_offer("127.0.0.1", 9))
    await first.response(180)
    second = await line.caller(user="15550004444")
    second.invite(sdp_offer("127.0.0.1", 9))
    assert (await second.answered()).status == 200
    assert (await first.answered()).status == 200


async def test_keys_reach_the_room_once_each(bridge: Bridge, open_line: OpenLine) -> None:
    """Nine packets of one key are one digit in the room, with and without marker; letters are lower case."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    _, media = await line.call()
    await agent.see("status", "active")
    for code, marker in ((5, True), (5, False), (11, True), (12, True)):
        media.press(code, marker)
        await asyncio.sleep(0.05)  # keys of one call keep their order on the data channel only when sent apart
    await agent.wait_for(lambda me: sum(kind == "digit" for kind, _ in me.events) >= 4)
    assert [value for kind, value in agent.events if kind == "digit"] == ["5", "5", "#", "a"]


async def test_keys_from_the_room_reach_the_caller(bridge: Bridge, open_line: OpenLine) -> None:
    """RFC 4733 events on the negotiated type, one timestamp a key, the end three times."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    _, media = await line.call()
    await agent.see("status", "active")
    await agent.room.local_participant.publish_dtmf(code=7, digit="7")

    async with asyncio.timeout(5):
        while sum(packet.payload_type == 101 and packet.payload[1] >= 128 for packet in media.packets) < 3:
            await media.wait_packets(len(media.packets) + 1)
    events = [packet for packet in media.packets if packet.payload_type == 101]
    assert {packet.payload[0] for packet in events} == {7}
    assert len({packet.timestamp for packet in events}) == 1


async def test_pcma_and_dtmf_type_are_taken_from_the_offer(bridge: Bridge, open_line: OpenLine) -> None:
    """PCMA alone is answered with PCMA; PCMU wins when both are offered, whatever the order; 97 stays 97."""
    line = await open_line(bridge)
    await line.agent(hertz=700)
    caller, media = await line.caller(), await line.media()
    extra = "a=rtpmap:97 telephone-event/8000\r\n"
    caller.invite(sdp_offer("127.0.0.1", media.port, codecs="8 97", extra=extra))
    answer = await caller.answered()
    assert "RTP/AVP 8 97" in answer.body
    other = await line.caller(user="15550005555")
    other.invite(sdp_offer("127.0.0.1", media.port, codecs="8 0"))
    answer = await other.answered()
    assert "RTP/AVP 0\r\n" in answer.body


async def test_reinvite_is_answered_with_the_same_description(bridge: Bridge, open_line: OpenLine) -> None:
    """Hold (sendonly) and resume get 200 with the first answer, sendrecv; audio goes on to a moved address."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, media = await line.call()
    await agent.see("status", "active")
    first = await caller.response(200)
    moved = await line.media()
    moved.send_to(first.body)
    caller.cseq += 1
    caller.send(caller.request("INVITE", sdp_offer("127.0.0.1", moved.port).replace("sendrecv", "sendonly")))
    again = await caller.socket.wait_for(lambda item: item.status == 200 and item.one("cseq") == "2 INVITE", 5)
    assert again.body == first.body
    media.stop()
    moved.start_tone(440)
    await moved.wait_packets(50)
    caller.cseq += 1
    caller.send(caller.request("INVITE"))
    empty = await caller.socket.wait_for(lambda item: item.status == 200 and item.one("cseq") == "3 INVITE", 5)
    assert empty.body == first.body
    assert (await caller.hang_up()).status == 200


async def test_rpc_methods_of_the_participant(bridge: Bridge, open_line: OpenLine) -> None:
    """lk.sip.GetRemoteHeaders returns the INVITE's headers; lk.sip.EndCall hangs up with headers of its own."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call(extra_headers=("X-Clinic: north",))
    await agent.see("status", "active")
    local, identity = agent.room.local_participant, f"sip_{caller.user}"
    reply = await local.perform_rpc(
        destination_identity=identity, method="lk.sip.GetRemoteHeaders", payload=json.dumps({"include": ["x-clinic"]})
    )
    assert json.loads(reply) == {"headers": {"X-Clinic": "north"}}
    with contextlib.suppress(RpcError):  # the participant may be gone before its answer is out
        await local.perform_rpc(
            destination_identity=identity, method="lk.sip.EndCall", payload=json.dumps({"headers": {"X-Why": "done"}})
        )
    assert (await caller.bye_from_server()).one("x-why") == "done"
    await agent.see("status", "hangup")
