"""A SIP caller on a raw socket, for contract tests: it sends exactly what a test says and records all that comes back.

It shares no code with the node: what is tested is read here with plain string operations.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

Address = tuple[str, int]
_COMPACT: Final = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


@dataclass(frozen=True)
class SipMessage:
    """One received message; header names are lower case; `at` is the loop's time in seconds."""

    start: str
    headers: Mapping[str, list[str]]
    body: str
    source: Address
    at: float

    @property
    def status(self) -> int:
        """0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of a request; of a response the method it answers."""
        return self.one("cseq").split()[-1] if self.status else self.start.split()[0]

    def one(self, name: str) -> str:
        values = self.headers.get(name.lower(), [])
        return values[0] if values else ""

    @property
    def to_tag(self) -> str:
        match = re.search(r";tag=([^;>\s]+)", self.one("to"))
        return match.group(1) if match else ""


def read_message(data: bytes, source: Address, at: float) -> SipMessage:
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        headers.setdefault(_COMPACT.get(key, key), []).append(value.strip())
    return SipMessage(start, headers, body, source, at)


class SipSocket(asyncio.DatagramProtocol):
    """One UDP port of a caller's; many calls may share it."""

    def __init__(self) -> None:
        self.address: Address = ("", 0)
        self.received: list[SipMessage] = []
        self._arrived = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None
        self.answer_requests = True

    @classmethod
    async def open(cls, ip: str = "127.0.0.1") -> SipSocket:
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=(ip, 0))
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: Address) -> None:
        message = read_message(data, addr, asyncio.get_running_loop().time())
        self.received.append(message)
        self._arrived.set()
        if self.answer_requests and not message.status and message.method == "BYE":
            self.send(response_to(message, 200, "OK"), addr)

    def error_received(self, exc: Exception) -> None:
        """ICMP answers are of no interest."""

    def send(self, data: bytes | str, destination: Address) -> None:
        assert self._transport is not None
        self._transport.sendto(data.encode() if isinstance(data, str) else data, destination)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def wait_for(self, wanted: Callable[[SipMessage], bool], timeout: float, since: int = 0) -> SipMessage:
        """The first received message from index `since` on that is `wanted`. Raises TimeoutError saying what came."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for message in self.received[since:]:
                        if wanted(message):
                            return message
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            seen = [message.start for message in self.received[since:]]
            raise TimeoutError(f"not received in {timeout} s; received: {seen}") from None


def response_to(request: SipMessage, code: int, reason: str) -> str:
    lines = [f"SIP/2.0 {code} {reason}"]
    lines += [f"Via: {value}" for value in request.headers.get("via", [])]
    lines += [f"{name}: {request.one(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""])


def sdp_offer(ip: str, port: int, codecs: str = "0 8 101", extra: str = "", proto: str = "RTP/AVP") -> str:
    """An offer with PCMU, PCMA and telephone-event unless told otherwise; `extra` is lines ending in CRLF."""
    maps = {"0": "PCMU/8000", "8": "PCMA/8000", "101": "telephone-event/8000", "9": "G722/8000", "18": "G729/8000"}
    lines = ["v=0", f"o=- 4711 4711 IN IP4 {ip}", "s=-", f"c=IN IP4 {ip}", "t=0 0", f"m=audio {port} {proto} {codecs}"]
    lines += [f"a=rtpmap:{number} {maps[number]}" for number in codecs.split() if number in maps]
    return "\r\n".join([*lines, "a=ptime:20", "a=sendrecv"]) + "\r\n" + extra


@dataclass
class Caller:
    """One call attempt. `number` is dialled at `server`; `user` is the caller's own number."""

    socket: SipSocket
    server: Address
    number: str
    user: str = "15557777"
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    from_tag: str = field(default_factory=lambda: secrets.token_hex(4))
    to_tag: str = ""
    cseq: int = 1
    branch: str = ""
    extra_headers: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        return f"sip:{self.number}@{self.server[0]}:{self.server[1]}"

    def request(
        self, method: str, body: str = "", *, cseq: int = 0, branch: str = "", headers: tuple[str, ...] = ()
    ) -> str:
        """A request in this call. A new branch unless given; CSeq is the call's current one unless given."""
        ip, port = self.socket.address
        to = f"<{self.uri}>" + (f";tag={self.to_tag}" if self.to_tag else "")
        lines = [
            f"{method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {ip}:{port};branch={branch or new_branch()};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@{ip}>;tag={self.from_tag}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq or self.cseq} {method}",
            f"Contact: <sip:{self.user}@{ip}:{port}>",
            *self.extra_headers,
            *headers,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])

    def send(self, message: str) -> None:
        self.socket.send(message, self.server)

    def invite(self, body: str, headers: tuple[str, ...] = ()) -> str:
        """Send INVITE; returns it, to be sent again unchanged."""
        self.branch = new_branch()
        message = self.request("INVITE", body, branch=self.branch, headers=headers)
        self.send(message)
        return message

    async def response(self, low: int, high: int = 0, *, method: str = "INVITE", timeout: float = 10.0) -> SipMessage:
        """The first response to `method` with the current CSeq whose status is in `low`..`high`."""
        message = await self.socket.wait_for(
            lambda item: (
                item.one("call-id") == self.call_id
                and item.one("cseq") == f"{self.cseq} {method}"
                and low <= item.status <= (high or low)
            ),
            timeout,
        )
        if message.status > 100 and not self.to_tag:
            self.to_tag = message.to_tag
        return message

    async def bye_from_server(self, timeout: float = 10.0) -> SipMessage:
        return await self.socket.wait_for(
            lambda item: item.one("call-id") == self.call_id and item.start.startswith("BYE "), timeout
        )

    def ack(self, response: SipMessage) -> None:
        """For 200 a new transaction, for an error the INVITE's own."""
        self.to_tag = response.to_tag
        branch = new_branch() if response.status < 300 else self.branch
        self.send(self.request("ACK", branch=branch))

    async def answered(self, timeout: float = 10.0) -> SipMessage:
        """Wait for the final answer, acknowledge it, return it."""
        response = await self.response(200, 699, timeout=timeout)
        self.ack(response)
        return response

    def cancel(self) -> None:
        tag, self.to_tag = self.to_tag, ""
        self.send(self.request("CANCEL", branch=self.branch))
        self.to_tag = tag

    async def hang_up(self) -> SipMessage:
        """BYE and its answer."""
        self.cseq += 1
        self.send(self.request("BYE"))
        return await self.response(200, 699, method="BYE")

    @property
    def connected(self) -> bool:
        """The call was answered and neither side has hung up."""
        byes = (item.start.startswith("BYE ") or item.method == "BYE" for item in self.heard)
        return 200 in self.statuses() and not any(byes)

    @property
    def heard(self) -> list[SipMessage]:
        """Everything received in this call, in order."""
        return [item for item in self.socket.received if item.one("call-id") == self.call_id]

    def statuses(self, method: str = "INVITE") -> list[int]:
        """Every status received for `method` in this call, in order."""
        return [
            item.status
            for item in self.socket.received
            if item.one("call-id") == self.call_id and item.status and item.method == method
        ]

    def authorization(self, challenge: SipMessage, username: str, password: str) -> str:
        """The Proxy-Authorization line that answers a 407."""
        text = challenge.one("proxy-authenticate")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', text))
        realm, nonce = fields["realm"], fields["nonce"]
        a1, a2 = _md5(f"{username}:{realm}:{password}"), _md5(f"INVITE:{self.uri}")
        answer = _md5(f"{a1}:{nonce}:{a2}")
        return (
            f'Proxy-Authorization: Digest username="{username}", realm="{realm}", nonce="{nonce}", '
            f'uri="{self.uri}", response="{answer}", algorithm=MD5'
        )


def new_branch() -> str:
    return "z9hG4bK" + secrets.token_hex(8)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
