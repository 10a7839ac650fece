"""RTP sockets on even ports of the configured range, kept bound for a while after their call."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from functools import partial

import structlog

log = structlog.get_logger()

OnPacket = Callable[[bytes, tuple[str, int]], None]


class NoFreePort(OSError):
    """Every even port of `rtp_port` is in use or still draining."""


class RtpSocket(asyncio.DatagramProtocol):
    """One bound UDP port; packets go to `on_packet` until it is detached."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.on_packet: OnPacket | None = None
        self.last_packet: float | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # see sip.endpoint

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.last_packet = self._loop.time()
        if self.on_packet is not None:
            try:
                self.on_packet(data, (addr[0], addr[1]))
            except Exception:
                log.exception("rtp packet failed", bytes=len(data))

    def error_received(self, exc: Exception) -> None:
        log.debug("rtp socket error", error=type(exc).__name__)

    def send(self, data: bytes, destination: tuple[str, int]) -> None:
        """One packet; an unreachable destination is a lost packet."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._transport.sendto(data, destination)
        except (OSError, ValueError):
            log.debug("rtp packet not sent")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _same(rtp: RtpSocket) -> RtpSocket:
    return rtp


class PortPool:
    """Hands out sockets from `first` to `last` (both included, even ports only, in random order).

    A port freed by `release` stays bound until `idle_s` passed without a packet, at most `max_s`, so that a new call
    never hears what a peer still sends to the old one.
    """

    def __init__(self, ip: str, first: int, last: int, idle_s: float, max_s: float, rng: random.Random) -> None:
        self._ip, self._idle_s, self._max_s, self._rng = ip, idle_s, max_s, rng
        self._ports = [port for port in range(first, last + 1) if port % 2 == 0]
        self._in_use: dict[int, RtpSocket] = {}
        self._draining: dict[int, RtpSocket] = {}

    @property
    def in_use(self) -> int:
        return len(self._in_use)

    async def acquire(self) -> RtpSocket:
        """A bound socket. Raises NoFreePort."""
        loop = asyncio.get_running_loop()
        for port in self._rng.sample(self._ports, len(self._ports)):
            if port in self._in_use or port in self._draining:
                continue
            rtp = RtpSocket(port)
            self._in_use[port] = rtp  # claimed before the await below, so two calls never race for it
            try:
                await loop.create_datagram_endpoint(
                    partial(_same, rtp), local_addr=(self._ip, port), family=socket.AF_INET
                )
            except OSError:
                del self._in_use[port]
                continue
            return rtp
        raise NoFreePort("no free RTP port in the configured range")

    def release(self, rtp: RtpSocket) -> None:
        """The call is over."""
        rtp.on_packet = None
        if self._in_use.pop(rtp.port, None) is None:
            return
        if self._idle_s <= 0:
            rtp.close()
            return
        self._draining[rtp.port] = rtp
        loop = asyncio.get_running_loop()
        self._check_later(rtp, loop.time())

    def close(self) -> None:
        """Close every socket, also the draining ones."""
        for rtp in (*self._in_use.values(), *self._draining.values()):
            rtp.on_packet = None
            rtp.close()
        self._in_use.clear()
        self._draining.clear()

    def _check_later(self, rtp: RtpSocket, released: float) -> None:
        loop = asyncio.get_running_loop()

        def check() -> None:
            if self._draining.get(rtp.port) is not rtp:
                return
            now = loop.time()
            quiet_since = max(released, rtp.last_packet or released)
            if now - quiet_since >= self._idle_s or (self._max_s > 0 and now - released >= self._max_s):
                del self._draining[rtp.port]
                rtp.close()
            else:
                loop.call_later(max(0.05, self._idle_s - (now - quiet_since)), check)

        loop.call_later(self._idle_s, check)
