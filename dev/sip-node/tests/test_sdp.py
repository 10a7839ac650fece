"""Offers and answers; every case stands in the contract tests with livekit-sip's answer too."""

from __future__ import annotations

import pytest
from sip_node.sip.sdp import (
    PCMA,
    PCMU,
    MediaPolicy,
    SdpError,
    build_answer,
    build_offer,
    parse_answer,
    parse_offer,
    parse_remote,
)
from sip_node.testing.uac import sdp_offer

pytestmark = pytest.mark.unit

POLICY = MediaPolicy()


def offer(**fields: str) -> bytes:
    return sdp_offer("192.0.2.7", 4000, **fields).encode()


@pytest.mark.parametrize(
    ("codecs", "extra", "taken"),
    [
        ("0 8 101", "", (PCMU, 0, 101)),
        ("8 0", "", (PCMU, 0, None)),
        ("8", "", (PCMA, 8, None)),
        ("9 18 8", "", (PCMA, 8, None)),
        ("96 97", "a=rtpmap:96 PCMU/8000\r\na=rtpmap:97 telephone-event/8000\r\n", (PCMU, 96, 97)),
        ("0 100", "a=rtpmap:100 telephone-event/8000/1\r\n", (PCMU, 0, 100)),
        ("0 98", "a=rtpmap:98 telephone-event/48000\r\n", (PCMU, 0, None)),
        ("0", "a=rtpmap:0 PCMU/many\r\nb=odd\r\na=fmtp:x y\r\n", (PCMU, 0, None)),
        ("8", "a=rtpmap:200 PCMU/8000\r\na=rtpmap:x PCMU/8000\r\na=rtpmap:\r\n", (PCMA, 8, None)),
    ],
)
def test_what_is_taken(codecs: str, extra: str, taken: tuple[str, int, int | None]) -> None:
    parsed = parse_offer(offer(codecs=codecs, extra=extra), POLICY)
    assert (parsed.codec, parsed.payload_type, parsed.dtmf_type) == taken
    assert parsed.remote == ("192.0.2.7", 4000)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"hello", 400),
        (b"v=0\r\n", 400),
        (offer().replace(b"m=audio 4000", b"m=audio x"), 400),
        (offer().replace(b"m=audio 4000", b"m=audio 0"), 400),
        (offer().replace(b"m=audio 4000", b"m=audio 70000"), 400),
        (offer().replace(b"m=audio", b"m=video"), 400),
        (offer().replace(b"192.0.2.7", b"2001:db8::1"), 400),
        (offer(codecs="18"), 400),
        (offer(proto="RTP/SAVP"), 488),
        (offer(proto="UDP/TLS/RTP/SAVPF"), 488),
    ],
)
def test_what_is_refused(body: bytes, code: int) -> None:
    with pytest.raises(SdpError) as caught:
        parse_offer(body, POLICY)
    assert caught.value.code == code


def test_policy_of_the_trunk() -> None:
    with pytest.raises(SdpError):
        parse_offer(offer(codecs="0"), MediaPolicy(codecs=frozenset((PCMA,))))
    with pytest.raises(SdpError, match="demands encryption"):
        parse_offer(offer(), MediaPolicy(require_encryption=True))


def test_address_of_the_media_line_wins_and_the_origin_helps_out() -> None:
    media = offer().replace(b"a=ptime", b"c=IN IP4 192.0.2.9\r\na=ptime")
    assert parse_offer(media, POLICY).remote[0] == "192.0.2.9"
    bare = offer().replace(b"c=IN IP4 192.0.2.7\r\n", b"")
    assert parse_offer(bare, POLICY).remote[0] == "192.0.2.7"


def test_answer() -> None:
    parsed = parse_offer(offer(codecs="8 101"), POLICY)
    assert build_answer(parsed, "198.51.100.1", 18000).decode().split("\r\n") == [
        "v=0",
        "o=- 4711 4713 IN IP4 198.51.100.1",
        "s=LiveKit",
        "c=IN IP4 198.51.100.1",
        "t=0 0",
        "m=audio 18000 RTP/AVP 8 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]


@pytest.mark.parametrize(
    ("body", "remote"),
    [
        (offer(), ("192.0.2.7", 4000)),
        (offer().replace(b"192.0.2.7", b"0.0.0.0"), None),
        (b"", None),
        (b"nonsense", None),
        (offer().replace(b"m=audio", b"m=video"), None),
    ],
)
def test_where_a_reinvite_wants_its_audio(body: bytes, remote: tuple[str, int] | None) -> None:
    assert parse_remote(body) == remote


ANSWER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101\r\n"


def test_own_offer_and_its_answer() -> None:
    offer = build_offer(MediaPolicy(), "127.0.0.1", 5004, 7).decode()
    assert "o=- 7 7 IN IP4 127.0.0.1" in offer
    assert "m=audio 5004 RTP/AVP 0 8 101" in offer
    only = build_offer(MediaPolicy(frozenset({"PCMA/8000"})), "127.0.0.1", 5004, 7).decode()
    assert "m=audio 5004 RTP/AVP 8 101" in only
    taken = parse_answer(ANSWER + b"a=rtpmap:101 telephone-event/8000\r\n", MediaPolicy(), 7)
    assert (taken.codec, taken.payload_type, taken.dtmf_type, taken.remote) == (
        "PCMA/8000",
        8,
        101,
        ("192.0.2.7", 4000),
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no audio in sdp"),
        (ANSWER.replace(b"audio", b"video"), "no audio in sdp"),
        (ANSWER.replace(b"AVP 8 101", b"AVP 18"), "common audio codec not found"),
        (ANSWER.replace(b"RTP/AVP", b"RTP/SAVP"), "was not offered"),
    ],
)
def test_answers_that_cannot_be_used(body: bytes, words: str) -> None:
    with pytest.raises(SdpError, match=words):
        parse_answer(body, MediaPolicy(), 7)


@pytest.mark.parametrize("policy", [MediaPolicy(require_encryption=True), MediaPolicy(frozenset())])
def test_nothing_to_offer(policy: MediaPolicy) -> None:
    with pytest.raises(SdpError):
        build_offer(policy, "127.0.0.1", 5004, 7)
