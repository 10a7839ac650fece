"""A SIP callee on a raw socket, for contract tests: it answers what a test tells it to and records all that comes."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from sip_node.testing.uac import SipMessage, SipSocket, new_branch, response_to, sdp_offer


@dataclass
class Callee:
    """Who is called on `socket`. After `rings`, `invite` is the INVITE of the call and `tag` this side's tag."""

    socket: SipSocket
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    invite: SipMessage | None = None
    cseq: int = 100

    @property
    def address(self) -> str:
        """host:port, as an outbound trunk has it."""
        ip, port = self.socket.address
        return f"{ip}:{port}"

    async def rings(self, timeout: float = 10.0, since: int = 0) -> SipMessage:
        """The next INVITE from index `since` of what was received on."""
        self.invite = await self.socket.wait_for(lambda item: item.start.startswith("INVITE "), timeout, since)
        return self.invite

    async def request(self, method: str, timeout: float = 10.0, since: int = 0) -> SipMessage:
        """The first request of this method."""
        return await self.socket.wait_for(lambda item: item.start.startswith(method + " "), timeout, since)

    def respond(
        self,
        request: SipMessage,
        code: int,
        reason: str,
        body: str = "",
        headers: tuple[str, ...] = (),
        tag: bool = True,
    ) -> None:
        """Answer `request`; with this side's tag unless it has one or `tag` is False (100)."""
        ip, port = self.socket.address
        text = response_to(request, code, reason).removesuffix("Content-Length: 0\r\n\r\n")
        if tag and not request.to_tag:
            text = re.sub(r"(?m)^(To: .*?)\r?$", rf"\1;tag={self.tag}\r", text, count=1)
        lines = [f"Contact: <sip:callee@{ip}:{port}>", *headers]
        if body:
            lines.append("Content-Type: application/sdp")
        tail = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self.socket.send(text + tail, request.source)

    def answer(self, media_port: int = 9, headers: tuple[str, ...] = (), codecs: str = "0 101") -> None:
        """200 to the INVITE, with an audio port."""
        self.respond(self._call, 200, "OK", sdp_offer("127.0.0.1", media_port, codecs=codecs), headers)

    def send(self, method: str, body: str = "", headers: tuple[str, ...] = ()) -> None:
        """A request within the call, to the other side."""
        self.socket.send(self.text(method, body, headers), self._call.source)

    def text(self, method: str, body: str = "", headers: tuple[str, ...] = ()) -> str:
        """A new request within the call, to the other side's Contact."""
        invite, (ip, port) = self._call, self.socket.address
        self.cseq += 1
        match = re.search(r"<(sip:[^>]+)>", invite.one("contact"))
        assert match is not None
        lines = [
            f"{method} {match.group(1)} SIP/2.0",
            f"Via: SIP/2.0/UDP {ip}:{port};branch={new_branch()};rport",
            "Max-Forwards: 70",
            f"From: {invite.one('to')};tag={self.tag}",
            f"To: {invite.one('from')}",
            f"Call-ID: {invite.one('call-id')}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:callee@{ip}:{port}>",
            *headers,
        ]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])

    async def response(self, method: str, timeout: float = 10.0) -> SipMessage:
        """The final answer to the latest request of ours with this method."""
        return await self.socket.wait_for(
            lambda item: item.status >= 200 and item.one("cseq") == f"{self.cseq} {method}", timeout
        )

    async def hang_up(self) -> SipMessage:
        self.send("BYE")
        return await self.response("BYE")

    def requests(self) -> list[str]:
        """Methods of every request received, in order."""
        return [item.method for item in self.socket.received if not item.status]

    def accepts_credentials(self, request: SipMessage, header: str, username: str, password: str, nonce: str) -> bool:
        """Whether `header` of the request answers this nonce for realm "far", with qop or without."""
        fields = {name: value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', request.one(header))}
        a1 = _md5(f"{username}:far:{password}")
        a2 = _md5(f"{request.method}:{fields.get('uri', '')}")
        middle = f":{fields['nc']}:{fields['cnonce']}:auth" if fields.get("qop") == "auth" else ""
        wanted = _md5(f"{a1}:{nonce}{middle}:{a2}")
        return fields.get("username") == username and fields.get("response") == wanted

    @property
    def _call(self) -> SipMessage:
        assert self.invite is not None
        return self.invite


def sipfrag(status: str) -> str:
    """The body of a NOTIFY about a REFER."""
    return f"SIP/2.0 {status}\r\n"


NOTIFY_HEADERS = ("Event: refer", "Subscription-State: active", "Content-Type: message/sipfrag;version=2.0")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
