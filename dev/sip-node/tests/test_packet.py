"""RTP headers and telephone events."""

from __future__ import annotations

import pytest
from sip_node.rtp.packet import DtmfEvent, RtpPacket, unpack, unpack_event

pytestmark = pytest.mark.unit


def test_header_on_the_wire() -> None:
    packet = RtpPacket(8, 0x1234, 0xA0B0C0D0, 0x01020304, b"\xd5\xd5", marker=True)
    assert packet.pack().hex() == "8088" + "1234" + "a0b0c0d0" + "01020304" + "d5d5"
    assert unpack(packet.pack()) == packet


def test_contributors_extension_and_padding_are_skipped() -> None:
    head = bytes.fromhex("b200" + "0001" + "00000002" + "00000003")  # padding, extension, two contributors
    data = head + bytes(8) + bytes.fromhex("bede0001") + bytes(4) + b"audio" + b"\x00\x00\x03"
    packet = unpack(data)
    assert packet is not None
    assert packet.payload == b"audio"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        bytes([0x40]) + bytes(11),
        bytes([0x8F]) + bytes(11),
        bytes([0x90]) + bytes(11),
        bytes([0x90]) + bytes(11) + bytes.fromhex("bede ffff"),
        bytes([0xA0]) + bytes(11) + b"\xff",
        b"INVITE sip:a@b SIP/2.0",
    ],
)
def test_what_is_no_rtp(data: bytes) -> None:
    assert unpack(data) is None


def test_events() -> None:
    event = DtmfEvent(11, 800, end=True)
    assert event.pack().hex() == "0b8a0320"
    assert unpack_event(event.pack()) == event
    assert (event.digit, DtmfEvent(12, 0, False).digit, DtmfEvent(16, 0, False).digit) == ("#", "a", "")
    assert unpack_event(b"\x01\x02\x03") is None
