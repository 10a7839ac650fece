"""CreateSIPParticipant's request as URIs, names and limits."""

from __future__ import annotations

from typing import Any

import pytest
from sip_node.outbound_request import read_request, resolve
from sip_node.psrpc import messages
from sip_node.psrpc.server import ServiceError

pytestmark = pytest.mark.unit


def asked(**fields: Any) -> Any:
    values = {"room_name": "r", "call_to": "1555", "number": "1777", "address": "10.0.0.9:5070", "sip_call_id": "SCL_1"}
    return messages.CreateSIPParticipantRequest(**{**values, **fields})


def test_plain_numbers() -> None:
    request = read_request(asked(), "127.0.0.1")
    assert (request.uri, request.remote) == ("sip:1555@10.0.0.9:5070", "<sip:1555@10.0.0.9:5070>")
    assert request.own == '"1777" <sip:1777@127.0.0.1>'
    assert (request.host, request.port, request.wait) == ("10.0.0.9", 5070, False)
    assert (request.place.ringing_timeout_s, request.place.max_call_s) == (180.0, 86400.0)


def test_names_transport_and_own_host() -> None:
    request = read_request(asked(transport=1, hostname="sip.example", display_name='A "B" <C>\r\nX: y'), "127.0.0.1")
    assert request.own == '"A B CX: y" <sip:1777@sip.example;transport=udp>'
    assert read_request(asked(display_name=""), "127.0.0.1").own == "<sip:1777@127.0.0.1>"


def test_uris_of_the_request_itself() -> None:
    message = asked()
    message.sip_request_uri.raw = "<sip:a@10.0.0.8:5090>"
    message.sip_to_header.values.user, message.sip_to_header.values.host = "b", "far.example"
    message.sip_to_header.display_name = "Far"
    request = read_request(message, "127.0.0.1")
    assert (request.uri, request.host, request.port) == ("sip:a@10.0.0.8:5090", "10.0.0.8", 5090)
    assert request.remote == '"Far" <sip:b@far.example>'


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"room_name": ""}, "invalid_argument", "room name must be set"),
        ({"call_to": ""}, "invalid_argument", "invalid request URI: number must be set"),
        ({"call_to": "a@b"}, "invalid_argument", "not a full SIP URI"),
        ({"address": ""}, "invalid_argument", "address must be set"),
        ({"address": "sip:x"}, "invalid_argument", "without 'sip:' prefix"),
        ({"address": "x;lr"}, "invalid_argument", "must not contain parameters"),
        ({"number": ""}, "invalid_argument", "invalid From header: number must be set"),
        ({"call_to": "1\r\nX: y"}, "invalid_argument", "not a SIP URI"),
        ({"transport": 2}, "unimplemented", "TCP and TLS need livekit-sip"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ServiceError, match=words) as caught:
        read_request(asked(**fields), "127.0.0.1")
    assert caught.value.code == code


async def test_addresses_need_no_look_up() -> None:
    assert await resolve("10.0.0.9", 5070) == ("10.0.0.9", 5070)


async def test_host_that_cannot_be_looked_up() -> None:
    with pytest.raises(ServiceError, match="fail to resolve target"):
        await resolve("a" * 70 + ".invalid", 5060)
