"""Faults of the line: a relay between the phone and the SIP bridge that can lose one direction of the sound.

SIP passes through it with the SDP's media addresses replaced by its own, so the sound does too. Only what a call's set-up
needs: UDP, one call, one INVITE with SDP each way; whatever the phone sends to the bridge itself is none of its business.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum, auto

import numpy as np
from sip_node.rtp.g711 import ALAW, ULAW

from fleet.ports import PortPool
from fleet.voice_activity import voiced

HOST = "127.0.0.1"
RTP_HEADER = 12
CODECS = {0: ULAW, 8: ALAW}
STILL_SPEAKING = 0.6
"""Seconds after its last sound in which the agent counts as speaking: longer than its pauses."""

Address = tuple[str, int]


class LineFault(Enum):
    """What the line does to the sound."""

    NONE = auto()
    ONE_WAY = auto()
    """Nothing from the agent reaches the phone: the usual one-way audio."""
    HALF_DUPLEX = auto()
    """While the agent speaks, nothing from the phone reaches it."""


class Line:
    """One phone's way to the SIP bridge. `port` is what the phone takes for the bridge's SIP port.

    `address`: where the bridge sees the call come from, any of 127.0.0.0/8; that is what trunks are told apart by.
    """

    def __init__(self, bridge: Address, ports: tuple[int, int, int], address: str = HOST) -> None:
        self.bridge, self.address = bridge, address
        self.port, self._for_phone, self._for_bridge = ports
        self.fault = LineFault.NONE
        self.lost = 0
        self._phone: Address | None = None
        self._media: dict[str, Address] = {}
        self._sockets: dict[str, asyncio.DatagramTransport] = {}
        self._agent_spoke = float("-inf")

    @contextmanager
    def broken(self, fault: LineFault) -> Iterator[None]:
        """With this fault as long as the block lasts."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = LineFault.NONE

    async def open(self) -> None:
        """Binds its sockets. OSError when a port is taken."""
        wanted: dict[str, tuple[int, Callable[[bytes, Address], None]]] = {
            "phone": (self.port, self._sip_from_phone),
            "bridge": (0, self._sip_from_bridge),
            "phone media": (self._for_phone, self._sound_from_phone),
            "bridge media": (self._for_bridge, self._sound_from_bridge),
        }
        loop = asyncio.get_running_loop()
        for name, (port, take) in wanted.items():
            where = self.address if name == "bridge" else HOST
            made = await loop.create_datagram_endpoint(lambda take=take: Taker(take), local_addr=(where, port))  # type: ignore[misc]
            self._sockets[name] = made[0]

    def close(self) -> None:
        for transport in self._sockets.values():
            transport.close()

    def _sip_from_phone(self, data: bytes, source: Address) -> None:
        self._phone = source
        self._sockets["bridge"].sendto(self._relayed(data, "phone", self._for_bridge), self.bridge)

    def _sip_from_bridge(self, data: bytes, source: Address) -> None:
        if self._phone is not None:
            self._sockets["phone"].sendto(self._relayed(data, "bridge", self._for_phone), self._phone)

    def _relayed(self, message: bytes, side: str, own_port: int) -> bytes:
        """The message with our media address in the place of this side's, which is remembered."""
        head, blank, body = message.partition(b"\r\n\r\n")
        media = re.search(rb"(?m)^m=audio (\d+) ", body)
        if media is None:
            return message
        # The phone announces the machine's outer address; its socket is open on the loopback too.
        self._media[side] = (HOST, int(media[1]))
        body = re.sub(rb"(?m)^m=audio \d+ ", b"m=audio %d " % own_port, body)
        body = re.sub(rb"(?m)^c=IN IP4 \S+", b"c=IN IP4 " + HOST.encode(), body)
        head = re.sub(rb"(?mi)^(content-length|l)[ \t]*:[ \t]*\d+", rb"\1: %d" % len(body), head)
        return head + blank + body

    def _sound_from_phone(self, packet: bytes, source: Address) -> None:
        now = asyncio.get_running_loop().time()
        speaking = now - self._agent_spoke < STILL_SPEAKING
        self._pass(packet, "bridge", self.fault is LineFault.HALF_DUPLEX and speaking)

    def _sound_from_bridge(self, packet: bytes, source: Address) -> None:
        if audible(packet):
            self._agent_spoke = asyncio.get_running_loop().time()
        self._pass(packet, "phone", self.fault is LineFault.ONE_WAY)

    def _pass(self, packet: bytes, to: str, loses: bool) -> None:
        if loses:
            self.lost += 1
        elif (address := self._media.get(to)) is not None:
            self._sockets[f"{to} media"].sendto(packet, address)


class Taker(asyncio.DatagramProtocol):
    """Hands each datagram on. A port that nobody listens on (a call that is over) is no error."""

    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._take(data, addr)

    def error_received(self, exc: Exception) -> None:
        pass


def audible(packet: bytes) -> bool:
    """Whether an RTP packet carries speech; False for other payloads than G.711."""
    if len(packet) <= RTP_HEADER:
        return False
    codec = CODECS.get(packet[1] & 0x7F)
    return codec is not None and voiced(codec.decode(packet[RTP_HEADER:]).astype(np.int16))


@asynccontextmanager
async def line(bridge: Address, ports: PortPool, address: str = HOST) -> AsyncIterator[Line]:
    """A relay to this SIP bridge as long as the block lasts; calls seem to come from `address`."""
    pair = ports.block(4)
    made = Line(bridge, (ports.one(), pair[0], pair[2]), address)
    try:
        await made.open()
        yield made
    finally:
        made.close()
