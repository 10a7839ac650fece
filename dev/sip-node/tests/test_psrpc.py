"""psrpc's envelope and the IOInfo messages on the wire."""

from __future__ import annotations

import pytest
from livekit.protocol.room import RoomConfiguration
from sip_node.dispatch import DispatchResult, _result, media_policy, sip_call
from sip_node.psrpc import messages
from sip_node.psrpc.client import channel
from sip_node.sip.message import Request, parse_message
from sip_node.sip.sdp import PCMA, PCMU

pytestmark = pytest.mark.unit


def test_envelope_bytes() -> None:
    sealed = messages.seal(messages.ClaimResponse(request_id="r", server_id="s"))
    url = b"type.googleapis.com/internal.ClaimResponse"
    assert sealed == b"\x0a" + bytes([len(url)]) + url + b"\x12\x06" + b"\x0a\x01r\x12\x01s"
    again = messages.unseal(sealed)
    assert (again.request_id, again.server_id) == ("r", "s")


def test_request_field_numbers() -> None:
    request = messages.Request(request_id="a", client_id="b", sent_at=1, expiry=2, raw_request=b"c")
    assert request.SerializeToString() == b"\x0a\x01a\x12\x01b\x18\x01\x20\x02\x42\x01c"


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"plain text", b"\x0a\x03foo", b"\x0a\x05other\x12\x01x"])
def test_foreign_messages(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a psrpc message"):
        messages.unseal(data)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("IOInfo", "GetSIPTrunkAuthentication", "", "REQ"), "IOInfo|GetSIPTrunkAuthentication|REQ"),
        (("IOInfo", "CLI_1f", "RES"), "IOInfo|CLI_1f|RES"),
        (("S", "M", "a.b-é", "REQ"), "S|M|au+002ebu+002du+00e9|REQ"),
        (("S", "😀"), "S|U+0001f600"),
    ],
)
def test_channel_names(parts: tuple[str, ...], name: str) -> None:
    assert channel(*parts) == name


def test_unknown_fields_of_a_newer_server_are_skipped() -> None:
    known = messages.GetSIPTrunkAuthenticationResponse(sip_trunk_id="ST_1").SerializeToString()
    reply = messages.GetSIPTrunkAuthenticationResponse.FromString(known + b"\xfa\x7f\x03new")
    assert reply.sip_trunk_id == "ST_1"


def test_room_configuration_is_livekits_own_type() -> None:
    reply = messages.EvaluateSIPDispatchRulesResponse()
    reply.room_config.agents.add(agent_name="receptionist")
    assert isinstance(reply.room_config, RoomConfiguration)
    again = messages.EvaluateSIPDispatchRulesResponse.FromString(reply.SerializeToString())
    assert again.room_config.agents[0].agent_name == "receptionist"


def test_call_as_the_server_sees_it() -> None:
    data = (
        b"INVITE sip:100@127.0.0.1:5060;transport=udp SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa\r\n"
        b"From: <sip:200@10.0.0.1>;tag=f\r\nTo: <sip:100@clinic.example>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\r\n"
    )
    invite = parse_message(data, ("192.0.2.7", 5062))
    assert isinstance(invite, Request)
    call = sip_call(invite, "SCL_1")
    assert (call.lk_call_id, call.source_ip, call.sip_call_id) == ("SCL_1", "192.0.2.7", "c1")
    assert (call.address.user, call.address.port, call.address.transport) == ("100", 5060, 1)
    assert (getattr(call, "from").user, call.to.host) == ("200", "clinic.example")
    assert [(via.host, via.port, via.transport) for via in call.via] == [("10.0.0.1", 5062, 1)]


@pytest.mark.parametrize(
    ("result", "pin", "expected"),
    [
        (0, False, DispatchResult.ACCEPT),
        (0, True, DispatchResult.REQUEST_PIN),
        (1, False, DispatchResult.ACCEPT),
        (2, False, DispatchResult.REQUEST_PIN),
        (3, False, DispatchResult.REJECT),
        (4, False, DispatchResult.DROP),
        (99, False, DispatchResult.REJECT),
    ],
)
def test_results(result: int, pin: bool, expected: DispatchResult) -> None:
    reply = messages.EvaluateSIPDispatchRulesResponse(result=result, request_pin=pin)
    assert _result(reply) is expected


def test_codecs_of_the_trunk() -> None:
    media = messages.EvaluateSIPDispatchRulesResponse().media
    assert media_policy(media).codecs == {PCMU, PCMA}
    media.only_listed_codecs = True
    with pytest.raises(ValueError, match="lists none"):
        media_policy(media)
    media.codecs.add(name="PCMA")
    media.codecs.add(name="G722", rate=8000)
    assert media_policy(media).codecs == {PCMA}
