"""RTP packets (RFC 3550) and telephone events (RFC 4733)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_HEADER: Final = struct.Struct("!BBHII")
DIGITS: Final = "0123456789*#abcd"


@dataclass(frozen=True)
class RtpPacket:
    """Sequence number is 16 bits, timestamp and ssrc are 32; `timestamp` counts samples at 8 kHz here."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def pack(self) -> bytes:
        flags = (0x80 if self.marker else 0) | self.payload_type
        return _HEADER.pack(0x80, flags, self.sequence, self.timestamp, self.ssrc) + self.payload


def unpack(data: bytes) -> RtpPacket | None:
    """None when it is no RTP: wrong version, truncated header, extension or padding."""
    if len(data) < _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        return None
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if first & 0x20:
        end -= data[-1]
    if start > end:
        return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80))


@dataclass(frozen=True)
class DtmfEvent:
    """One key: `code` as on the wire, `digit` "" for codes that are no key; `duration` in samples."""

    code: int
    duration: int
    end: bool

    @property
    def digit(self) -> str:
        return DIGITS[self.code] if self.code < len(DIGITS) else ""

    def pack(self, volume: int = 10) -> bytes:
        return struct.pack("!BBH", self.code, (0x80 if self.end else 0) | volume, min(self.duration, 0xFFFF))


def unpack_event(payload: bytes) -> DtmfEvent | None:
    """None when the payload is too short to be a telephone event."""
    if len(payload) < 4:
        return None
    code, flags, duration = struct.unpack_from("!BBH", payload)
    return DtmfEvent(code, duration, bool(flags & 0x80))
