"""The caller's RTP: a tone sent every 20 ms, everything received kept as linear audio."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
RATE: Final = 8000
FRAME: Final = 160
SO_TIMESTAMPNS: Final = 35
"""Linux: the kernel says when it received each packet, so that a reader who comes late still measures the sender."""
_TIMESPEC: Final = struct.Struct("@ll")


def tone(hertz: float, seconds: float, rate: int = RATE, level: float = 0.3) -> Samples:
    """A sine of `level` (1.0 is full scale)."""
    time = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hertz * time) * level * 32767).astype(np.int16)


def tone_share(samples: Samples, hertz: float, rate: int = RATE) -> float:
    """Which share of the energy lies within 30 Hz of `hertz`, 0 to 1; 0 for silence."""
    if len(samples) == 0:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    total = float(spectrum.sum())
    if total < len(samples) * 100.0:
        return 0.0
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(spectrum[np.abs(frequencies - hertz) <= 30].sum() / total)


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """By cutting or padding the spectrum: exact for what both rates can hold."""
    size = len(samples) * wanted // rate
    spectrum = np.fft.rfft(samples.astype(np.float64))
    result = np.fft.irfft(spectrum[: size // 2 + 1], size) * (size / len(samples))
    return np.clip(result, -32767, 32767).astype(np.int16)


def mulaw(samples: Samples) -> bytes:
    """G.711 mu-law by the formula, independent of the node's tables."""
    x = np.clip(samples.astype(np.int32), -32635, 32635)
    sign = np.where(x < 0, 0x80, 0)
    magnitude = np.abs(x) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return bytes((~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8))


def from_mulaw(payload: bytes) -> Samples:
    code = ~np.frombuffer(payload, dtype=np.uint8).astype(np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 132) << ((code & 0x70) >> 4)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


@dataclass(frozen=True)
class Packet:
    """``at``: when the kernel received it, on the loop's clock."""

    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes
    marker: bool
    at: float


class CallerMedia:
    """An RTP port that plays a tone once started (mu-law)."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self._loop = asyncio.get_running_loop()
        self._offset = self._loop.time() - time.time()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._loop.add_reader(self._socket, self._receive)
        self._task: asyncio.Task[None] | None = None
        self._destination = ("127.0.0.1", 0)
        self._sequence, self._timestamp = 1000, 160_000
        self._ssrc = secrets.randbits(32)
        self._arrived = asyncio.Event()

    @classmethod
    async def open(cls) -> CallerMedia:
        return cls()

    def _receive(self) -> None:
        # Until it would block; ICMP answers, which are errors too, are of no interest.
        with suppress(OSError):
            while True:
                data, control, _, _ = self._socket.recvmsg(2048, socket.CMSG_SPACE(_TIMESPEC.size))
                self._take(data, control)

    def _take(self, data: bytes, control: list[tuple[int, int, bytes]]) -> None:
        if len(data) < 12:
            return
        _, second, sequence, timestamp, _ = struct.unpack_from("!BBHII", data)
        at = self._loop.time()
        for level, kind, content in control:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack_from(content)
                at = seconds + nanoseconds / 1e9 + self._offset
        self.packets.append(Packet(second & 0x7F, sequence, timestamp, data[12:], bool(second & 0x80), at))
        self._arrived.set()

    def send_to(self, answer_sdp: str) -> None:
        """Take the far side's port from its answer."""
        match = re.search(r"^m=audio (\d+)", answer_sdp, re.MULTILINE)
        address = re.search(r"^c=IN IP4 (\S+)", answer_sdp, re.MULTILINE)
        assert match is not None
        assert address is not None
        self._destination = (address.group(1).strip(), int(match.group(1)))

    def start_tone(self, hertz: float) -> None:
        """Play from now on, until `stop`."""
        self.stop()
        self._task = asyncio.create_task(self._play(hertz))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        self.stop()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def press(self, code: int, marker: bool = True) -> None:
        """One key as RFC 4733 events: six updates, three ends, all with one timestamp."""
        timestamp = self._timestamp
        for index in range(9):
            end = index >= 6
            payload = struct.pack("!BBH", code, (0x80 if end else 0) | 10, min(index + 1, 7) * FRAME)
            self._send(101, payload, timestamp, marker and index == 0)
        self._timestamp += 8 * FRAME

    async def wait_packets(self, count: int, timeout: float = 5.0) -> None:
        """Until `count` packets in all have come."""
        async with asyncio.timeout(timeout):
            while len(self.packets) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def until_tone(self, hertz: float, last: int, timeout: float = 10.0) -> None:
        """Until the last `last` packets are little else than a tone of `hertz`."""
        async with asyncio.timeout(timeout):
            while tone_share(self.heard(last), hertz) <= 0.9:
                await self.wait_packets(len(self.packets) + 5, timeout)

    def heard(self, last: int = 0) -> Samples:
        """The audio received (mu-law payloads), of the last `last` packets if given."""
        payloads = [packet.payload for packet in self.packets if packet.payload_type == 0][-last:]
        return from_mulaw(b"".join(payloads)) if payloads else np.zeros(0, dtype=np.int16)

    async def _play(self, hertz: float) -> None:
        loop = asyncio.get_running_loop()
        wave = mulaw(tone(hertz, 1.0))
        position, deadline = 0, loop.time()
        while True:
            self._send(0, wave[position : position + FRAME], self._timestamp, False)
            self._timestamp += FRAME
            position = (position + FRAME) % len(wave)
            deadline += 0.02
            await asyncio.sleep(max(0.0, deadline - loop.time()))

    def _send(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> None:
        flags = (0x80 if marker else 0) | payload_type
        header = struct.pack("!BBHII", 0x80, flags, self._sequence % 65536, timestamp % 2**32, self._ssrc)
        self._sequence += 1
        with suppress(OSError):  # the other side's port may be closed already
            self._socket.sendto(header + payload, self._destination)
