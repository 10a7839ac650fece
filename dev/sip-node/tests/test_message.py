"""Reading what comes, writing what goes."""

from __future__ import annotations

import pytest
from sip_node.sip.message import (
    MessageError,
    Request,
    Response,
    Uri,
    address_uri,
    build_request,
    build_response,
    parse_message,
    parse_sip_uri,
)

pytestmark = pytest.mark.unit

SOURCE = ("192.0.2.7", 5062)
INVITE = (
    b"INVITE sip:100@127.0.0.1:5060;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;rport\r\n"
    b"v: SIP/2.0/TCP proxy.example;branch=z9hG4bKb\r\n"
    b"Record-Route: <sip:proxy.example;lr>\r\n"
    b'f: "A, B" <sip:200@10.0.0.1>;tag=from1\r\n'
    b"To: <sip:100@127.0.0.1>\r\n"
    b"Call-ID: abc\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"X-Clinic: north\r\n"
    b"Content-Type: application/sdp; charset=utf-8\r\n"
    b"Content-Length: 3\r\n\r\nv=0extra"
)


def invite() -> Request:
    message = parse_message(INVITE, SOURCE)
    assert isinstance(message, Request)
    return message


def test_request_fields() -> None:
    request = invite()
    assert (request.method, request.call_id, request.cseq_number, request.cseq_method) == ("INVITE", "abc", 7, "INVITE")
    assert (request.from_tag, request.to_tag, request.content_type) == ("from1", "", "application/sdp")
    assert request.from_uri == Uri("200", "10.0.0.1")
    assert (request.to_uri.user, request.body) == ("100", b"v=0")
    assert [(via.transport, via.host, via.port, via.branch) for via in request.vias] == [
        ("UDP", "10.0.0.1", 5062, "z9hG4bKa"),
        ("TCP", "proxy.example", 0, "z9hG4bKb"),
    ]
    assert request.header("X-CLINIC") == "north"


def test_response_is_routed_back() -> None:
    text = build_response(invite(), 180, "Ringing", to_tag="SCL_1", headers=[("Allow", "INVITE")]).decode()
    assert text.split("\r\n") == [
        "SIP/2.0 180 Ringing",
        "Record-Route: <sip:proxy.example;lr>",
        "Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;rport=5062;received=192.0.2.7",
        "Via: SIP/2.0/TCP proxy.example;branch=z9hG4bKb",
        'From: "A, B" <sip:200@10.0.0.1>;tag=from1',
        "To: <sip:100@127.0.0.1>;tag=SCL_1",
        "Call-ID: abc",
        "CSeq: 7 INVITE",
        "Allow: INVITE",
        "Content-Length: 0",
        "",
        "",
    ]
    answer = parse_message(text.encode(), SOURCE)
    assert isinstance(answer, Response)
    assert (answer.code, answer.reason, answer.to_tag) == (180, "Ringing", "SCL_1")


def test_a_value_cannot_add_a_header() -> None:
    text = build_request("BYE", "sip:a@b", [("X-Note", "one\r\nX-Evil: two")]).decode()
    assert "\r\nX-Evil" not in text


def test_empty_reason_takes_the_usual_phrase() -> None:
    assert build_response(invite(), 500, "").startswith(b"SIP/2.0 500 Internal Server Error\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\x00\x01\x02",
        b"INVITE\r\n\r\n",
        INVITE.replace(b"CSeq: 7 INVITE\r\n", b""),
        INVITE.replace(b"CSeq: 7 INVITE", b"CSeq: x INVITE"),
        INVITE.replace(b"CSeq: 7 INVITE", b"CSeq: 99999999999 INVITE"),
        INVITE.replace(b"CSeq: 7 INVITE", "CSeq: ² INVITE".encode()),
        INVITE.replace(b"Via:", b"Vja:").replace(b"\r\nv:", b"\r\nw:"),
    ],
)
def test_unanswerable_datagrams(data: bytes) -> None:
    with pytest.raises(MessageError):
        parse_message(data, SOURCE)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:1@h:5070;transport=TCP;lr", Uri("1", "h", 5070, {"transport": "TCP", "lr": ""})),
        ("sip:h", Uri("", "h")),
        ("sip:1@h:99999", Uri("1", "h")),
        ("", Uri()),
    ],
)
def test_uris(text: str, uri: Uri) -> None:
    assert parse_sip_uri(text) == uri


def test_address_forms() -> None:
    assert address_uri("<sip:1@h>;tag=x") == Uri("1", "h")
    assert address_uri("sip:1@h;tag=x") == Uri("1", "h")
    assert address_uri("") == Uri()
