"""In which order attributes change and webhooks come. Each docstring says what livekit-sip 1.10.0 was seen to do."""

from __future__ import annotations

from typing import Any

import pytest
from sip_node.testing.agent import RoomAgent
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.outbound import OpenOutbound
from sip_node.testing.record import Observation
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration


def changes(agent: RoomAgent) -> list[str]:
    """Attribute changes in the order they were told, sip.callStatus with its value. Changes told at once have no order:
    the status is put last, as the one that announces them."""
    order = []
    for update in agent.changes:
        order += sorted(name for name in update if name != "sip.callStatus")
        if "sip.callStatus" in update:
            order.append(f"sip.callStatus={update['sip.callStatus']}")
    return order


async def test_attributes_of_a_call_in(bridge: Bridge, open_line: OpenLine, observed: Observation) -> None:
    """All of them at the join, with status ringing; then only the status changes: active, hangup."""
    line = await open_line(bridge, attributes={"tenant": "t1"})
    agent = await line.agent()
    caller, media = await line.caller(extra_headers=("X-Twilio-CallSid: CA1",)), await line.media()
    caller.invite(sdp_offer("127.0.0.1", media.port))
    await agent.see("status", "ringing")
    await agent.speak(700)
    answer = await caller.answered()
    media.send_to(answer.body)
    media.start_tone(440)
    await agent.see("status", "active")
    assert (await caller.hang_up()).status == 200
    await agent.see("left")
    observed.note("at the join", sorted(agent.attributes_at_join))
    observed.note("then", changes(agent))
    assert agent.attributes_at_join["sip.callStatus"] == "ringing"
    assert sorted(agent.attributes_at_join) == [
        "sip.callID",
        "sip.callIDFull",
        "sip.callStatus",
        "sip.callTag",
        "sip.hostname",
        "sip.phoneNumber",
        "sip.ruleID",
        "sip.trunkID",
        "sip.trunkPhoneNumber",
        "sip.twilio.callSid",
        "tenant",
    ]
    assert changes(agent) == ["sip.callStatus=active", "sip.callStatus=hangup"]


async def test_attributes_of_a_call_out(bridge: Bridge, open_outbound: OpenOutbound, observed: Observation) -> None:
    """Dialing at the join, ringing with the 180, the far side's tag and the Call-ID with the 200, active, hangup."""
    line = await open_outbound(bridge)
    agent = await line.agent(hertz=700)
    dialled = line.dial(wait_until_answered=True, dtmf="1")
    invite = await line.callee.rings()
    await agent.see("track")
    line.callee.respond(invite, 180, "Ringing")
    await agent.see("status", "ringing")
    line.callee.answer()
    await dialled
    await agent.see("status", "active")
    assert (await line.callee.hang_up()).status == 200
    await agent.see("left")
    observed.note("at the join", sorted(agent.attributes_at_join))
    observed.note("then", changes(agent))
    assert agent.attributes_at_join["sip.callStatus"] == "dialing"
    assert changes(agent) == [
        "sip.callStatus=ringing",
        "sip.callIDFull",
        "sip.callTag",
        "sip.callStatus=automation",
        "sip.callStatus=active",
        "sip.callStatus=hangup",
    ]


async def test_webhooks_of_a_call_in(hooked: Any, open_line: OpenLine, observed: Observation) -> None:
    """The room starts, the caller joins and publishes, then the agent; the caller's track goes before the caller; the room
    finishes last. The caller leaves as CLIENT_INITIATED."""
    line = await open_line(hooked.bridge)
    caller, media = await line.caller(), await line.media()
    caller.invite(sdp_offer("127.0.0.1", media.port))
    await hooked.hooks.wait_for(lambda seen: ("track_published", "sip") in seen)
    agent = await line.agent(hertz=700)
    answer = await caller.answered()
    media.send_to(answer.body)
    media.start_tone(440)
    await agent.see("status", "active")
    assert (await caller.hang_up()).status == 200
    await hooked.hooks.wait_for(lambda seen: ("participant_left", "sip") in seen)
    await line.delete_room()
    await hooked.hooks.wait_for(lambda seen: ("room_finished", "") in seen)
    observed.note("webhooks", [" ".join(filter(None, item)) for item in hooked.hooks.events])
    observed.note("left as", hooked.hooks.reasons)
    assert hooked.hooks.of("sip") == ["participant_joined", "track_published", "track_unpublished", "participant_left"]
    assert hooked.hooks.events[:3] == [("room_started", ""), ("participant_joined", "sip"), ("track_published", "sip")]
    assert hooked.hooks.events[-1] == ("room_finished", "")
    assert hooked.hooks.reasons == ["CLIENT_INITIATED"]


async def test_webhooks_of_a_call_out(hooked: Any, open_outbound: OpenOutbound, observed: Observation) -> None:
    """The callee joins and publishes while it rings, and leaves as CLIENT_INITIATED after the hang-up."""
    line = await open_outbound(hooked.bridge)
    await line.talk()
    await hooked.hooks.wait_for(lambda seen: ("track_published", "sip") in seen)
    assert (await line.callee.hang_up()).status == 200
    await hooked.hooks.wait_for(lambda seen: ("participant_left", "sip") in seen)
    await line.delete_room()
    await hooked.hooks.wait_for(lambda seen: ("room_finished", "") in seen)
    observed.note("webhooks", [" ".join(filter(None, item)) for item in hooked.hooks.events])
    observed.note("left as", hooked.hooks.reasons)
    assert hooked.hooks.of("sip") == ["participant_joined", "track_published", "track_unpublished", "participant_left"]
    assert hooked.hooks.events[0] == ("room_started", "")
    assert hooked.hooks.events[-1] == ("room_finished", "")
    assert hooked.hooks.reasons == ["CLIENT_INITIATED"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [("busy", "USER_REJECTED"), ("not answered", "USER_UNAVAILABLE"), ("not found", "USER_UNAVAILABLE")],
    ids=["busy", "not answered", "not found"],
)
async def test_webhooks_of_a_call_nobody_takes(
    hooked: Any, open_outbound: OpenOutbound, observed: Observation, how: str, reason: str
) -> None:
    """The participant leaves as USER_REJECTED or USER_UNAVAILABLE."""
    line = await open_outbound(hooked.bridge)
    await line.agent()
    await line.dial(ringing_s=3.0)
    invite = await line.callee.rings()
    await hooked.hooks.wait_for(lambda seen: ("track_published", "sip") in seen)
    if how == "not answered":
        line.callee.respond(invite, 180, "Ringing")
    else:
        line.callee.respond(invite, *((486, "Busy Here") if how == "busy" else (404, "Not Found")))
    await hooked.hooks.wait_for(lambda seen: ("participant_left", "sip") in seen)
    observed.note("sip webhooks", hooked.hooks.of("sip"))
    observed.note("left as", hooked.hooks.reasons)
    assert hooked.hooks.of("sip") == ["participant_joined", "track_published", "track_unpublished", "participant_left"]
    assert hooked.hooks.reasons == [reason]
