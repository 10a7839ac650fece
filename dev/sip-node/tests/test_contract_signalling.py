"""Transactions, authentication and methods. Each docstring says what livekit-sip 1.10.0 was seen to do."""

from __future__ import annotations

import asyncio

import pytest
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration

OFFER = sdp_offer("127.0.0.1", 9)


async def test_retransmitted_invite_while_ringing(bridge: Bridge, open_line: OpenLine) -> None:
    """The last answer again, and one participant."""
    line = await open_line(bridge)
    agent = await line.agent()
    caller = await line.caller()
    message = caller.invite(OFFER)
    await agent.see("status", "ringing")
    await caller.response(180)
    before = len(caller.socket.received)
    caller.send(message)
    repeated = await caller.socket.wait_for(lambda item: item.status > 0, 0.7, since=before)
    assert repeated.status == 180
    assert repeated.to_tag == caller.to_tag
    assert (await line.participants()).count(f"sip_{caller.user}") == 1
    assert sum(kind == "joined" for kind, _ in agent.events) == 1
    caller.cancel()
    assert (await caller.answered()).status == 487


async def test_retransmitted_invite_after_the_answer(bridge: Bridge, open_line: OpenLine) -> None:
    """No second call and no other answer than the one given."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, media = await line.caller(), await line.media()
    message = caller.invite(sdp_offer("127.0.0.1", media.port))
    await caller.answered()
    await agent.see("status", "active")
    caller.send(message)
    await asyncio.sleep(0.5)
    assert set(caller.statuses()) == {100, 180, 200}
    assert {item.to_tag for item in caller.socket.received if item.status} == {caller.to_tag}
    assert sum(kind == "joined" for kind, _ in agent.events) == 1


async def test_digest_challenge_and_right_answer(bridge: Bridge, open_line: OpenLine) -> None:
    """407 Unauthorized with a Digest challenge for realm "LiveKit"; with the right answer the call keeps its id."""
    line = await open_line(bridge, trunk={"auth_username": "bob", "auth_password": "s3cret"})
    agent = await line.agent(hertz=700)
    caller, media = await line.caller(), await line.media()
    offer = sdp_offer("127.0.0.1", media.port)
    caller.invite(offer)
    challenge = await caller.answered()
    assert challenge.start == "SIP/2.0 407 Unauthorized"
    header = challenge.one("proxy-authenticate")
    assert header.startswith('Digest realm="LiveKit", nonce="')
    assert header.endswith(", algorithm=MD5")
    assert caller.statuses() == [100, 407]
    caller.to_tag, caller.cseq = "", 2
    caller.invite(offer, headers=(caller.authorization(challenge, "bob", "s3cret"),))
    answer = await caller.answered()
    assert answer.status == 200
    assert answer.to_tag == challenge.to_tag
    await agent.see("status", "active")
    assert agent.attributes["sip.trunkID"] == line.trunk_id


@pytest.mark.parametrize(("username", "password"), [("bob", "wrong"), ("eve", "s3cret")])
async def test_digest_wrong_answer(bridge: Bridge, open_line: OpenLine, username: str, password: str) -> None:
    """401 Unauthorized, and nobody joins."""
    line = await open_line(bridge, trunk={"auth_username": "bob", "auth_password": "s3cret"})
    caller = await line.caller()
    caller.invite(OFFER)
    challenge = await caller.answered()
    caller.to_tag, caller.cseq = "", 2
    caller.invite(OFFER, headers=(caller.authorization(challenge, username, password),))
    final = await caller.response(401)
    assert final.start == "SIP/2.0 401 Unauthorized"
    assert await line.participants() == []


async def test_address_of_the_trunk(bridge: Bridge, open_line: OpenLine) -> None:
    """A caller at one of the trunk's allowed_addresses is taken without credentials; from elsewhere the call matches no
    trunk: 100, 180, silence."""
    line = await open_line(bridge, trunk={"allowed_addresses": ["127.0.0.1/32"]})
    await line.agent(hertz=700)
    stranger = await line.caller(socket_ip="127.0.0.2")
    stranger.invite(OFFER)
    await stranger.response(180)
    known = await line.caller(user="15556660000")
    known.invite(OFFER)
    assert (await known.answered()).status == 200
    with pytest.raises(TimeoutError):
        await stranger.response(200, 699, timeout=1.5)
    assert sorted(await line.participants()) == ["agent", "sip_15556660000"]


async def test_address_and_credentials(bridge: Bridge, open_line: OpenLine) -> None:
    """A trunk with both asks for the credentials at the right address, and isn't matched from another one."""
    trunk = {"allowed_addresses": ["127.0.0.1/32"], "auth_username": "bob", "auth_password": "s3cret"}
    line = await open_line(bridge, trunk=trunk)
    stranger = await line.caller(socket_ip="127.0.0.2")
    stranger.invite(OFFER)
    await stranger.response(180)
    known = await line.caller()
    known.invite(OFFER)
    assert (await known.answered()).status == 407
    assert stranger.statuses() == [100, 180]


async def test_options_and_other_methods(bridge: Bridge, open_line: OpenLine) -> None:
    """OPTIONS 200; REGISTER, INFO, SUBSCRIBE, MESSAGE, UPDATE, PRACK, REFER, PUBLISH and invented ones 405."""
    line = await open_line(bridge)
    caller = await line.caller()
    caller.send(caller.request("OPTIONS"))
    assert (await caller.response(200, 699, method="OPTIONS")).start == "SIP/2.0 200 OK"
    for method in ("REGISTER", "INFO", "SUBSCRIBE", "MESSAGE", "UPDATE", "PRACK", "REFER", "PUBLISH", "FROBNICATE"):
        caller.send(caller.request(method))
        answer = await caller.response(200, 699, method=method)
        assert answer.start == "SIP/2.0 405 Method Not Allowed", method


async def test_stray_cancel_and_ack_meet_silence(bridge: Bridge, open_line: OpenLine) -> None:
    """Nothing is answered."""
    line = await open_line(bridge)
    caller = await line.caller()
    caller.branch = "z9hG4bKstray"
    caller.cancel()
    caller.send(caller.request("ACK", branch="z9hG4bKother"))
    await asyncio.sleep(0.5)
    assert caller.socket.received == []


async def test_late_cancel_of_an_answered_call(bridge: Bridge, open_line: OpenLine) -> None:
    """A CANCEL after the 200 changes nothing and meets silence."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    caller, media = await line.call()
    await agent.see("status", "active")
    caller.cancel()
    count = len(media.packets)
    await media.wait_packets(count + 30)
    assert caller.statuses("CANCEL") == []
    assert (await caller.hang_up()).status == 200


async def test_calls_at_the_same_time_keep_apart(bridge: Bridge, open_line: OpenLine) -> None:
    """Three calls in three rooms, each with its own id; one hanging up leaves the others alone."""
    lines = [await open_line(bridge) for _ in range(3)]
    agents = [await line.agent(hertz=500 + 100 * index) for index, line in enumerate(lines)]
    calls = await asyncio.gather(*(line.call(hertz=440) for line in lines))
    for agent in agents:
        await agent.see("status", "active")
    assert len({caller.to_tag for caller, _ in calls}) == 3
    assert (await calls[0][0].hang_up()).status == 200
    await agents[0].see("left")
    counts = [len(media.packets) for _, media in calls[1:]]
    for (_, media), count in zip(calls[1:], counts, strict=True):
        await media.wait_packets(count + 25)
    assert all(agent.events[-1][0] != "left" for agent in agents[1:])
