"""Calls that end before an answer. Each docstring says what livekit-sip 1.10.0 was seen to do; the node does the same."""

from __future__ import annotations

import asyncio

import pytest
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.uac import Caller, sdp_offer

pytestmark = pytest.mark.integration

OFFER = sdp_offer("127.0.0.1", 9)


async def silence_after_ringing(caller: Caller) -> None:
    """100 and 180 and then nothing for two seconds."""
    await caller.response(180)
    with pytest.raises(TimeoutError):
        await caller.response(200, 699, timeout=2.0)


async def test_trunk_without_rule_is_dropped(bridge: Bridge, open_line: OpenLine) -> None:
    """100, one 180, then silence."""
    line = await open_line(bridge, rule=False)
    caller = await line.caller()
    caller.invite(OFFER)
    await silence_after_ringing(caller)
    assert caller.statuses() == [100, 180]


async def test_number_of_no_trunk_is_dropped(bridge: Bridge, open_line: OpenLine) -> None:
    """100, one 180, then silence: no trunk counts as accepted, and no rule matches."""
    line = await open_line(bridge)
    caller = await line.caller(number="19990000000")
    caller.invite(OFFER)
    await silence_after_ringing(caller)
    assert caller.statuses() == [100, 180]
    assert await line.participants() == []


async def test_dropped_call_can_be_cancelled_into_silence(bridge: Bridge, open_line: OpenLine) -> None:
    """A CANCEL for a dropped call meets silence too."""
    line = await open_line(bridge, rule=False)
    caller = await line.caller()
    caller.invite(OFFER)
    await silence_after_ringing(caller)
    caller.cancel()
    with pytest.raises(TimeoutError):
        await caller.response(200, 699, method="CANCEL", timeout=1.0)


async def test_nobody_speaks_until_the_ringing_timeout(bridge: Bridge, open_line: OpenLine) -> None:
    """486 Rejected when the trunk's ringing_timeout is over; the participant leaves without a change of status."""
    line = await open_line(bridge, ringing_s=1.5)
    agent = await line.agent()
    caller = await line.caller()
    caller.invite(OFFER)
    final = await caller.answered()
    assert final.start == "SIP/2.0 486 Rejected"
    assert caller.statuses().count(180) >= 2
    await agent.see("left")
    assert [value for kind, value in agent.events if kind == "status"] == ["ringing"]


async def test_no_agent_at_all_until_the_ringing_timeout(bridge: Bridge, open_line: OpenLine) -> None:
    """486 Rejected with an empty room as well."""
    line = await open_line(bridge, ringing_s=1.0)
    caller = await line.caller()
    caller.invite(OFFER)
    assert (await caller.answered()).status == 486
    await line.empty()


async def test_room_deleted_before_the_answer(bridge: Bridge, open_line: OpenLine) -> None:
    """486 Rejected at once."""
    line = await open_line(bridge)
    agent = await line.agent()
    caller = await line.caller()
    caller.invite(OFFER)
    await agent.see("status", "ringing")
    await line.delete_room()
    assert (await caller.answered(timeout=3)).start == "SIP/2.0 486 Rejected"


async def test_cancel_while_ringing(bridge: Bridge, open_line: OpenLine) -> None:
    """200 to the CANCEL, 487 Request Terminated to the INVITE, status hangup, the participant leaves."""
    line = await open_line(bridge)
    agent = await line.agent()
    caller = await line.caller()
    caller.invite(OFFER)
    await agent.see("status", "ringing")
    caller.cancel()
    assert (await caller.response(200, 699, method="CANCEL")).status == 200
    assert (await caller.answered()).start == "SIP/2.0 487 Request Terminated"
    await agent.see("left")
    assert [value for kind, value in agent.events if kind == "status"] == ["ringing", "hangup"]


async def test_error_answer_is_sent_once(bridge: Bridge, open_line: OpenLine) -> None:
    """Without an ACK the 486 is not repeated: livekit-sip ends the transaction with the call."""
    line = await open_line(bridge, ringing_s=1.0)
    caller = await line.caller()
    caller.invite(OFFER)
    await caller.response(486)
    await asyncio.sleep(1.8)  # an RFC 3261 stack repeats after 0.5 and 1.5 s
    assert caller.statuses().count(486) == 1


async def test_longest_call_counts_from_the_ringing(bridge: Bridge, open_line: OpenLine) -> None:
    """max_call_duration ends a ringing call too: 486, status hangup."""
    line = await open_line(bridge, max_call_s=1.0)
    agent = await line.agent()
    caller = await line.caller()
    caller.invite(OFFER)
    assert (await caller.answered(timeout=5)).status == 486
    await agent.see("status", "hangup")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "no offer (Genesys sends delayed offers)"),
        ("this is not sdp", "not SDP"),
        (OFFER.replace("m=audio 9 ", "m=video 9 "), "no audio"),
        (sdp_offer("127.0.0.1", 9, codecs="18"), "G.729 only"),
        (sdp_offer("127.0.0.1", 0), "port 0"),
        (OFFER.replace("IN IP4 127.0.0.1", "IN IP4 nowhere"), "no address"),
    ],
    ids=["no offer", "not SDP", "no audio", "G.729 only", "port 0", "no address"],
)
async def test_offers_that_cannot_be_answered(bridge: Bridge, open_line: OpenLine, body: str, why: str) -> None:
    """100, 180, then 400 Bad Request for every offer without usable audio."""
    line = await open_line(bridge)
    caller = await line.caller()
    caller.invite(body)
    assert (await caller.answered()).status == 400, why
    assert caller.statuses()[:2] == [100, 180]
    assert await line.participants() == []


async def test_refusal_is_replayed_for_the_same_call(bridge: Bridge, open_line: OpenLine) -> None:
    """A second INVITE with the same Call-ID and From tag gets the 400 again, without 180."""
    line = await open_line(bridge)
    caller = await line.caller()
    caller.invite("")
    first = await caller.answered()
    before = len(caller.socket.received)
    caller.to_tag, caller.cseq = "", 2
    caller.invite("")
    again = await caller.socket.wait_for(lambda item: item.status >= 200, 5, since=before)
    assert (first.status, again.status) == (400, 400)
    assert [item.status for item in caller.socket.received[before:]] == [400]


async def test_invite_without_from_tag(bridge: Bridge, open_line: OpenLine) -> None:
    """400 Bad request with Allow, and no 100."""
    line = await open_line(bridge)
    caller = await line.caller()
    message = caller.request("INVITE", OFFER).replace(f";tag={caller.from_tag}", "")
    caller.send(message)
    answer = await caller.response(200, 699)
    assert answer.start == "SIP/2.0 400 Bad request"
    assert answer.one("allow")
    assert caller.statuses() == [400]
