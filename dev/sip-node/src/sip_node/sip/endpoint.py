"""The UDP socket, the transactions on it, and what arrives on none of them."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from sip_node.sip.message import Address, MessageError, Request, Response, build_response, parse_message
from sip_node.sip.transaction import (
    ClientTransaction,
    InviteTransaction,
    ServerTransaction,
    Timers,
    transaction_key,
)

log = structlog.get_logger()


class Handler(Protocol):
    """What the server does with new requests. Neither method may block or raise."""

    def on_request(self, request: Request, transaction: ServerTransaction) -> None:
        """A request that starts a transaction (never ACK or CANCEL)."""

    def on_ack(self, request: Request) -> None:
        """An ACK that belongs to no unfinished INVITE: the one for a 200."""


class Endpoint(asyncio.DatagramProtocol):
    """SIP over one UDP socket."""

    def __init__(self, handler: Handler, timers: Timers) -> None:
        self.timers = timers
        self._handler = handler
        self._transport: asyncio.DatagramTransport | None = None
        self._servers: dict[str, ServerTransaction] = {}
        self._clients: dict[tuple[str, str], ClientTransaction | InviteTransaction] = {}
        self._expiries: set[asyncio.TimerHandle] = set()

    async def start(self, ip: str, port: int) -> None:
        """Bind. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(ip, port))

    def close(self) -> None:
        """Close the socket and forget every transaction."""
        if self._transport is not None:
            self._transport.close()
        for handle in self._expiries:
            handle.cancel()
        self._servers.clear()

    @property
    def open_transactions(self) -> int:
        """Transactions that still absorb retransmissions or wait for an answer."""
        return len(self._servers) + len(self._clients)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's UDP transport is no DatagramTransport subclass before CPython 3.12, so no isinstance check.
        self._transport = transport  # type: ignore[assignment]

    def error_received(self, exc: Exception) -> None:
        log.debug("udp error", error=type(exc).__name__)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        source = (str(addr[0]), int(addr[1]))
        try:
            message = parse_message(data, source)
            if isinstance(message, Response):
                self._on_response(message)
            else:
                self._on_request(message)
        except MessageError as error:
            log.debug("datagram ignored", reason=str(error), bytes=len(data))
        except Exception:
            # One hostile datagram must never stop the socket for the other calls.
            log.exception("datagram failed", bytes=len(data))

    def send(self, data: bytes, destination: Address) -> None:
        """One datagram; an address that can't be reached is a lost packet."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._transport.sendto(data, destination)
        except (OSError, ValueError) as error:
            log.debug("datagram not sent", error=type(error).__name__)

    def release(self, transaction: ServerTransaction) -> None:
        """The transaction's work is done; it absorbs retransmissions a while longer, then is forgotten."""
        self._expire_later(transaction_key(transaction.request))

    async def request(self, data: bytes, branch: str, destination: Address) -> Response | None:
        """Send a request of ours and await its final answer, None when none came."""
        method = data.split(b" ", 1)[0].decode()
        transaction = ClientTransaction(data, destination, self.send, self.timers)
        self._clients[branch, method] = transaction
        try:
            return await transaction.run()
        finally:
            del self._clients[branch, method]

    def invite(self, data: bytes, branch: str, destination: Address) -> InviteTransaction:
        """Send an INVITE of ours; the transaction is kept until `forget`."""
        transaction = InviteTransaction(data, destination, self.send, self.timers)
        self._clients[branch, "INVITE"] = transaction
        return transaction

    def forget(self, branch: str) -> None:
        """Answers to this INVITE are of no interest any more."""
        transaction = self._clients.pop((branch, "INVITE"), None)
        if isinstance(transaction, InviteTransaction):
            transaction.stop()

    def _on_response(self, response: Response) -> None:
        # A CANCEL has its INVITE's branch: only the method of CSeq tells their answers apart.
        client = self._clients.get((response.vias[0].branch, response.cseq_method))
        if client is not None:
            client.receive(response)

    def _on_request(self, request: Request) -> None:
        key = transaction_key(request)
        existing = self._servers.get(key)
        if request.method == "CANCEL":
            self._on_cancel(request, existing)
        elif request.method == "ACK":
            if existing is None or not existing.proceeding:
                self._handler.on_ack(request)
        elif existing is not None:
            existing.retransmitted()
        else:
            transaction = ServerTransaction(request, self.send)
            self._servers[key] = transaction
            self._handler.on_request(request, transaction)
            if request.method != "INVITE":
                self._expire_later(key)

    def _on_cancel(self, request: Request, invite: ServerTransaction | None) -> None:
        # livekit-sip answers a CANCEL only while its INVITE has no final answer; any other meets silence.
        if invite is None or not (invite.proceeding or invite.cancelled.is_set()):
            return
        self.send(build_response(request, 200, "OK", to_tag="cancel"), request.source)
        invite.cancelled.set()

    def _expire_later(self, key: str) -> None:
        loop = asyncio.get_running_loop()

        def expire() -> None:
            self._servers.pop(key, None)
            self._expiries.discard(handle)

        handle = loop.call_later(self.timers.linger, expire)
        self._expiries.add(handle)
