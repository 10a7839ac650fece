"""How answered calls end. Each docstring says what livekit-sip 1.10.0 was seen to do; the node does the same."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration


async def test_caller_hangs_up(bridge: Bridge, open_line: OpenLine) -> None:
    """200 to the BYE, status hangup, the participant leaves."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    assert (await caller.hang_up()).status == 200
    await agent.see("left", timeout=3)
    assert agent.statuses == ["ringing", "active", "hangup"]


async def test_room_deleted(bridge: Bridge, open_line: OpenLine) -> None:
    """BYE within the call: tags swapped, CSeq one above the INVITE's, to the caller's Contact."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    await line.delete_room()
    bye = await caller.bye_from_server()
    assert bye.start.startswith(f"BYE sip:{caller.user}@127.0.0.1:{caller.socket.address[1]} ")
    assert f"tag={caller.from_tag}" in bye.one("to")
    assert f"tag={caller.to_tag}" in bye.one("from")
    assert bye.one("cseq") == "2 BYE"


async def test_participant_removed(bridge: Bridge, open_line: OpenLine) -> None:
    """Removing the SIP participant hangs up; the room goes on."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    await line.lk.room.remove_participant(api.RoomParticipantIdentity(room=line.room, identity=f"sip_{caller.user}"))
    await caller.bye_from_server()
    await agent.see("left")
    assert agent.room.isconnected()


async def test_agent_leaving_does_not_hang_up(bridge: Bridge, open_line: OpenLine) -> None:
    """The call goes on with silence when the last other participant leaves."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, media = await line.call()
    await agent.see("status", "active")
    await agent.leave()
    line.opened.remove(agent)
    count = len(media.packets)
    await media.wait_packets(count + 60)
    assert not [item for item in caller.socket.received if item.start.startswith("BYE")]


async def test_longest_call(bridge: Bridge, open_line: OpenLine) -> None:
    """BYE when max_call_duration is over, status hangup."""
    line = await open_line(bridge, max_call_s=2.0)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    await caller.bye_from_server(timeout=5)
    await agent.see("left")
    assert agent.statuses[-1] == "hangup"


async def test_no_audio_from_the_caller_at_all(impatient_bridge: Bridge, open_line: OpenLine) -> None:
    """Active one second after the answer all the same; BYE after media_timeout_initial, status hangup."""
    line = await open_line(impatient_bridge)
    agent = await line.agent(hertz=700)
    caller = await line.caller()
    caller.invite(sdp_offer("127.0.0.1", 9))
    answer = await caller.answered()
    assert answer.status == 200
    await agent.see("status", "active", timeout=3)
    bye = await caller.bye_from_server()
    assert 2.0 < bye.at - answer.at < 4.5
    await agent.see("left")
    assert agent.statuses == ["ringing", "active", "hangup"]


async def test_audio_of_the_caller_stops(impatient_bridge: Bridge, open_line: OpenLine) -> None:
    """BYE after media_timeout without a packet, hold or not."""
    line = await open_line(impatient_bridge)
    agent = await line.agent(hertz=700)
    caller, media = await line.call()
    await agent.see("status", "active")
    caller.cseq += 1
    caller.send(caller.request("INVITE", sdp_offer("127.0.0.1", media.port).replace("sendrecv", "sendonly")))
    media.stop()
    stopped = asyncio.get_running_loop().time()
    bye = await caller.bye_from_server()
    assert 1.0 < bye.at - stopped < 4.0
    await agent.see("left")


async def test_lost_ack_while_audio_flows(bridge: Bridge, open_line: OpenLine) -> None:
    """Three copies of the 200 in 0.75 s, then the call simply goes on: the caller is talking."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, media = await line.caller(), await line.media()
    caller.invite(sdp_offer("127.0.0.1", media.port))
    answer = await caller.response(200)
    media.send_to(answer.body)
    media.start_tone(440)
    await agent.see("status", "active")
    await media.wait_packets(5 * 50, timeout=10)
    assert caller.statuses().count(200) == 3
    copies = [item.at - answer.at for item in caller.socket.received if item.status == 200]
    assert copies == pytest.approx([0, 0.25, 0.75], abs=0.2)
    assert not [item for item in caller.socket.received if item.start.startswith("BYE")]
    assert (await caller.hang_up()).status == 200


async def test_lost_ack_without_audio(impatient_bridge: Bridge, open_line: OpenLine) -> None:
    """Three copies of the 200, then BYE; the status stays active, because nobody hung up."""
    line = await open_line(impatient_bridge)
    agent = await line.agent(hertz=700)
    caller = await line.caller()
    caller.invite(sdp_offer("127.0.0.1", 9))
    await caller.response(200)
    await caller.bye_from_server()
    await agent.see("left")
    assert caller.statuses().count(200) == 3
    assert agent.statuses == ["ringing", "active"]


async def test_unanswered_bye_is_repeated(bridge: Bridge, open_line: OpenLine) -> None:
    """A BYE without an answer comes again after 0.5 and 1 s more."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    caller.socket.answer_requests = False
    await line.delete_room()

    def byes() -> list[float]:
        return [item.at for item in caller.socket.received if item.start.startswith("BYE")]

    await caller.socket.wait_for(lambda _: len(byes()) >= 3, 5)
    times = byes()
    assert times[1] - times[0] == pytest.approx(0.5, abs=0.2)
    assert times[2] - times[1] == pytest.approx(1.0, abs=0.2)
    caller.socket.answer_requests = True
    await caller.socket.wait_for(lambda _: len(byes()) >= 4, 5)


async def test_bye_for_an_unknown_call(bridge: Bridge, open_line: OpenLine) -> None:
    """481 Call does not exist; without a To tag 400."""
    line = await open_line(bridge)
    caller = await line.caller()
    caller.to_tag = "SCL_unknown"
    assert (await caller.hang_up()).start == "SIP/2.0 481 Call does not exist"
    other = await line.caller()
    assert (await other.hang_up()).status == 400
