"""Calls out: how they are placed and answered, or not. Each docstring says what livekit-sip 1.10.0 was seen to do."""

from __future__ import annotations

import asyncio
import re

import pytest
from livekit import api
from sip_node.testing.bridge import Bridge
from sip_node.testing.media import tone_share
from sip_node.testing.outbound import CALLED, OWN, OpenOutbound, failure
from sip_node.testing.record import Observation
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.integration


async def test_answered_call_carries_audio_both_ways(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """INVITE, ACK to the callee's Contact; the API answers after the 200; both tones are heard."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    await talk.media.wait_packets(100)
    await talk.agent.wait_for(lambda me: tone_share(me.heard[-8000:], 440) > 0.9)
    assert tone_share(talk.media.heard(50), 700) > 0.9
    assert line.callee.requests() == ["INVITE", "ACK"]
    ack = await line.callee.request("ACK")
    assert ack.start == f"ACK sip:callee@{line.callee.address} SIP/2.0"
    assert ack.one("cseq") == "1 ACK"


async def test_invite_looks_alike(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """The called number at the trunk's address, the trunk's number as display name and in From, the call id as From tag,
    headers of the trunk and the request, telephone-event, no codec but those it speaks."""
    line = await open_outbound(bridge, headers={"X-Trunk": "t"})
    line.dial(headers={"X-Call": "c"})
    invite = await line.callee.rings()
    assert invite.start == f"INVITE sip:{CALLED}@{line.callee.address};transport=udp SIP/2.0"
    assert invite.one("to") == f"<sip:{CALLED}@{line.callee.address};transport=udp>"
    assert re.fullmatch(rf'"{OWN}" <sip:{OWN}@127\.0\.0\.1;transport=udp>;tag=SCL_\w{{12}}', invite.one("from")), (
        invite.one("from")
    )
    assert invite.one("contact") == f"<sip:{bridge.sip[0]}:{bridge.sip[1]};transport=udp>"
    assert (invite.one("x-trunk"), invite.one("x-call")) == ("t", "c")
    assert invite.one("cseq") == "1 INVITE"
    lines = invite.body.splitlines()
    assert "s=LiveKit" in lines
    assert {"a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000"} <= set(lines)
    assert lines[-2:] == ["a=ptime:20", "a=sendrecv"]


async def test_names_and_numbers_of_the_request(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """sip_number and display_name stand in From, an empty display_name is none; to_user_override changes nothing with
    server 1.13.5; identity, name and attributes are the participant's."""
    line = await open_outbound(bridge)
    agent = await line.agent()
    line.dial(
        sip_number="15554440000",
        display_name="Clinic",
        to_user_override="42",
        participant_identity="patient",
        participant_name="A patient",
        participant_metadata="reference",
        participant_attributes={"tenant": "t1"},
    )
    invite = await line.callee.rings()
    assert invite.one("from").startswith('"Clinic" <sip:15554440000@127.0.0.1')
    assert invite.one("to").startswith(f"<sip:{CALLED}@")
    await agent.see("joined", "patient")
    who = agent.room.remote_participants["patient"]
    assert (who.name, who.metadata, agent.caller_kind) == ("A patient", "reference", 3)
    assert agent.attributes_at_join == {
        "sip.callID": agent.attributes["sip.callID"],
        "sip.callStatus": "dialing",
        "sip.hostname": line.callee.address,
        "sip.phoneNumber": CALLED,
        "sip.trunkID": line.trunk_id,
        "sip.trunkPhoneNumber": "15554440000",
        "tenant": "t1",
    }
    since = len(line.callee.socket.received)
    line.dial(display_name="", participant_identity="second")
    assert (await line.callee.rings(since=since)).one("from").startswith(f"<sip:{OWN}@")


async def test_hidden_number(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """With hide_phone_number neither numbers nor host are attributes."""
    line = await open_outbound(bridge)
    agent = await line.agent()
    line.dial(hide_phone_number=True, participant_identity="hidden")
    await line.callee.rings()
    await agent.see("status", "dialing")
    assert sorted(agent.attributes_at_join) == ["sip.callID", "sip.callStatus", "sip.trunkID"]


async def test_without_waiting_the_api_answers_at_once(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """The participant is there, dialing, before anything was answered; a refusal makes it leave without a hangup."""
    line = await open_outbound(bridge)
    agent = await line.agent()
    info = await line.dial()
    assert info.participant_identity == f"sip_{CALLED}"
    assert info.sip_call_id.startswith("SCL_")
    assert info.participant_id.startswith("PA_")
    invite = await line.callee.rings()
    await agent.see("track")
    line.callee.respond(invite, 180, "Ringing")
    await agent.see("status", "ringing")
    line.callee.respond(invite, 486, "Busy Here")
    await agent.see("left")
    assert agent.statuses == ["dialing", "ringing"]


@pytest.mark.parametrize(
    ("code", "phrase", "error", "words"),
    [
        (486, "Busy Here", "resource_exhausted", "INVITE failed: "),
        (603, "Decline", "permission_denied", "unexpected status from INVITE response: "),
        (404, "Not Found", "not_found", "INVITE failed: "),
        (480, "Temporarily Unavailable", "resource_exhausted", "INVITE failed: "),
        (488, "Not Acceptable Here", "invalid_argument", "INVITE failed: "),
        (403, "Forbidden", "permission_denied", "unexpected status from INVITE response: "),
        (503, "Service Unavailable", "failed_precondition", "unexpected status from INVITE response: "),
        (302, "Moved Temporarily", "not_found", "unexpected status from INVITE response: "),
    ],
    ids=["486", "603", "404", "480", "488", "403", "503", "302"],
)
async def test_refused(
    bridge: Bridge,
    open_outbound: OpenOutbound,
    observed: Observation,
    code: int,
    phrase: str,
    error: str,
    words: str,
) -> None:
    """ACK in the INVITE's transaction; the API's error carries sip_status_code and sip_status."""
    line = await open_outbound(bridge)
    await line.agent()
    dialled = line.dial(wait_until_answered=True)
    invite = await line.callee.rings()
    line.callee.respond(invite, 180, "Ringing")
    line.callee.respond(invite, code, phrase)
    seen = await failure(dialled)
    observed.note("api", seen)
    assert seen == (error, f"{words}sip status: {code}: {phrase}", str(code), phrase)
    ack = await line.callee.request("ACK")
    assert ack.one("via").split("branch=")[1].split(";")[0] == invite.one("via").split("branch=")[1].split(";")[0]
    line.callee.respond(invite, code, phrase)
    await asyncio.sleep(0.3)
    assert line.callee.requests() == ["INVITE", "ACK"]  # a repeated refusal isn't acknowledged again


async def test_not_answered(bridge: Bridge, open_outbound: OpenOutbound, observed: Observation) -> None:
    """CANCEL when ringing_timeout is over, the 487 acknowledged; "canceled" without a SIP status; no hangup."""
    line = await open_outbound(bridge)
    agent = await line.agent()
    dialled = line.dial(wait_until_answered=True, ringing_s=1.5)
    invite = await line.callee.rings()
    line.callee.respond(invite, 180, "Ringing")
    cancel = await line.callee.request("CANCEL")
    assert 1.0 < cancel.at - invite.at < 2.5
    assert cancel.one("cseq") == "1 CANCEL"
    line.callee.respond(cancel, 200, "OK")
    line.callee.respond(invite, 487, "Request Terminated")
    seen = await failure(dialled)
    observed.note("api", seen)
    assert seen == ("canceled", "sip request timed out", "", "")
    await line.callee.request("ACK")
    await agent.see("left")
    assert agent.statuses == ["dialing", "ringing"]


async def test_answer_that_crosses_the_cancel(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """A 200 after the CANCEL is acknowledged and hung up."""
    line = await open_outbound(bridge)
    dialled = line.dial(wait_until_answered=True, ringing_s=1.0)
    invite = await line.callee.rings()
    line.callee.respond(invite, 180, "Ringing")
    await line.callee.request("CANCEL")
    line.callee.answer()
    assert (await failure(dialled))[0] == "canceled"
    await line.callee.request("BYE")
    assert line.callee.requests() == ["INVITE", "CANCEL", "ACK", "BYE"]


async def test_nothing_answers(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """The same INVITE again and again, then CANCEL: the ringing timeout ends it like an unanswered call."""
    line = await open_outbound(bridge)
    agent = await line.agent()
    dialled = line.dial(wait_until_answered=True, ringing_s=2.0)
    await line.callee.rings()
    await line.callee.request("CANCEL")
    copies = [item for item in line.callee.socket.received if item.start.startswith("INVITE")]
    assert len(copies) in (2, 3, 4)
    assert len({item.one("via") for item in copies}) == 1
    assert await failure(dialled) == ("canceled", "sip request timed out", "", "")
    await agent.see("left")
    assert agent.statuses == ["dialing"]


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("127.0.0.1:9", "canceled", "sip request timed out"),
        ("nowhere.invalid", "invalid_argument", 'fail to resolve target for "nowhere.invalid"'),
    ],
    ids=["127.0.0.1:9", "nowhere.invalid"],
)
async def test_unreachable(
    bridge: Bridge, open_outbound: OpenOutbound, observed: Observation, address: str, error: str, words: str
) -> None:
    """A port nobody listens on is silence until the ringing timeout; a name nobody knows is an invalid argument."""
    line = await open_outbound(bridge, address=address)
    code, message, status, _ = await failure(line.dial(wait_until_answered=True, ringing_s=1.5))
    observed.note("api", [code, message.partition(":")[0]])
    assert (code, message.partition(":")[0], status) == (error, words, "")


@pytest.mark.parametrize(
    ("code", "asks", "answers"),
    [(401, "WWW-Authenticate", "authorization"), (407, "Proxy-Authenticate", "proxy-authorization")],
    ids=["401", "407"],
)
@pytest.mark.parametrize("qop", ["", ', qop="auth"'], ids=["no qop", "qop"])
async def test_far_side_asks_for_credentials(
    bridge: Bridge, open_outbound: OpenOutbound, code: int, asks: str, answers: str, qop: str
) -> None:
    """The trunk's user and password, MD5, qop where it is offered; same Call-ID, CSeq one up."""
    line = await open_outbound(bridge, auth_username="bob", auth_password="s3cret")
    dialled = line.dial(wait_until_answered=True)
    first = await line.callee.rings()
    challenge = f'{asks}: Digest realm="far", nonce="abc", algorithm=MD5{qop}'
    line.callee.respond(first, code, "Unauthorized", headers=(challenge,))
    second = await line.callee.rings(since=1)
    assert (second.one("cseq"), second.one("call-id")) == ("2 INVITE", first.one("call-id"))
    assert line.callee.accepts_credentials(second, answers, "bob", "s3cret", "abc")
    line.callee.answer()
    assert (await dialled).sip_call_id
    assert line.callee.requests() == ["INVITE", "ACK", "INVITE", "ACK"]


async def test_credentials_the_trunk_has_not(
    bridge: Bridge, open_outbound: OpenOutbound, observed: Observation
) -> None:
    """failed_precondition with the reason, after one INVITE."""
    line = await open_outbound(bridge)
    dialled = line.dial(wait_until_answered=True)
    challenge = 'WWW-Authenticate: Digest realm="far", nonce="abc", algorithm=MD5'
    line.callee.respond(await line.callee.rings(), 401, "Unauthorized", headers=(challenge,))
    seen = await failure(dialled)
    observed.note("api", seen)
    words = "sip server required auth, but no username or password was provided"
    assert seen == ("failed_precondition", words, "", "")


async def test_credentials_never_accepted(bridge: Bridge, open_outbound: OpenOutbound, observed: Observation) -> None:
    """Five INVITEs, then failed_precondition."""
    line = await open_outbound(bridge, auth_username="bob", auth_password="wrong")
    dialled = line.dial(wait_until_answered=True)
    since = 0
    for number in range(5):
        invite = await line.callee.rings(since=since)
        since = line.callee.socket.received.index(invite) + 1
        challenge = f'WWW-Authenticate: Digest realm="far", nonce="n{number}", algorithm=MD5'
        line.callee.respond(invite, 401, "Unauthorized", headers=(challenge,))
    seen = await failure(dialled)
    observed.note("api", seen)
    assert seen == ("failed_precondition", "max auth retry attempts reached for SIP invite", "", "")
    assert line.callee.requests().count("INVITE") == 5


async def test_early_media_is_not_heard(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """183 with a description counts as ringing; its audio stays out of the room, the room's out of the callee's ear."""
    line = await open_outbound(bridge)
    agent, media = await line.agent(hertz=700), await line.media()
    dialled = line.dial(wait_until_answered=True)
    invite = await line.callee.rings()
    media.send_to(invite.body)
    line.callee.respond(invite, 183, "Session Progress", sdp_offer("127.0.0.1", media.port))
    media.start_tone(440)
    await agent.see("status", "ringing")
    await asyncio.sleep(1.0)
    assert tone_share(agent.heard[-4000:], 440) < 0.1
    assert media.packets == []
    line.callee.answer(media.port)
    await dialled
    await agent.wait_for(lambda me: tone_share(me.heard[-4000:], 440) > 0.9)


async def test_dialtone_sounds_in_the_room(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """play_dialtone: 425 Hz in the room while it rings; with the answer the callee is heard."""
    line = await open_outbound(bridge)
    agent, media = await line.agent(hertz=700), await line.media()
    dialled = line.dial(wait_until_answered=True, play_dialtone=True)
    invite = await line.callee.rings()
    media.send_to(invite.body)
    line.callee.respond(invite, 180, "Ringing")
    await agent.wait_for(lambda me: tone_share(me.heard[-3200:], 425) > 0.9)
    line.callee.answer(media.port)
    media.start_tone(900)
    await dialled
    await agent.wait_for(lambda me: tone_share(me.heard[-4000:], 900) > 0.9)


async def test_keys_after_the_answer(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """dtmf is played after the answer, status automation until it is out, then active."""
    line = await open_outbound(bridge)
    talk = await line.talk(dtmf="1w2#")
    assert talk.agent.statuses == ["dialing", "ringing", "automation", "active"]
    events = [packet for packet in talk.media.packets if packet.payload_type == 101]
    assert list(dict.fromkeys((packet.timestamp, packet.payload[0]) for packet in events)) == [
        (timestamp, code)
        for timestamp, code in zip(sorted({item.timestamp for item in events}), (1, 2, 11), strict=True)
    ]


@pytest.mark.parametrize(
    ("how", "words"),
    [("G.729 only", "common audio codec not found"), ("no description", "no audio in sdp")],
    ids=["G.729 only", "no description"],
)
async def test_answers_that_cannot_be_used(
    bridge: Bridge, open_outbound: OpenOutbound, observed: Observation, how: str, words: str
) -> None:
    """failed_precondition; the 200 isn't acknowledged, BYE at once."""
    line = await open_outbound(bridge)
    dialled = line.dial(wait_until_answered=True)
    invite = await line.callee.rings()
    if how == "no description":
        line.callee.respond(invite, 200, "OK")
    else:
        line.callee.answer(codecs="18")
    seen = await failure(dialled)
    observed.note("api", seen)
    assert seen == ("failed_precondition", words, "", "")
    await line.callee.request("BYE")
    assert line.callee.requests() == ["INVITE", "BYE"]


@pytest.mark.parametrize("what", ["room deleted", "participant removed"])
async def test_room_goes_while_it_rings(bridge: Bridge, open_outbound: OpenOutbound, what: str) -> None:
    """CANCEL at once; the API says "canceled"."""
    line = await open_outbound(bridge)
    agent = await line.agent()
    dialled = line.dial(wait_until_answered=True)
    invite = await line.callee.rings()
    line.callee.respond(invite, 180, "Ringing")
    await agent.see("status", "ringing")
    if what == "room deleted":
        await line.delete_room()
    else:
        identity = api.RoomParticipantIdentity(room=line.room, identity=f"sip_{CALLED}")
        await line.lk.room.remove_participant(identity)
    await line.callee.request("CANCEL", timeout=3)
    assert await failure(dialled) == ("canceled", "sip request timed out", "", "")
