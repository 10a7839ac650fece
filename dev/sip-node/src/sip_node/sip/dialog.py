"""The far side of one inbound call: what is answered, when it is repeated, how it is hung up."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sip_node.sip.endpoint import Endpoint
from sip_node.sip.message import (
    ALLOW,
    MAGIC_COOKIE,
    Address,
    Request,
    Uri,
    address_uri,
    build_request,
    build_response,
)
from sip_node.sip.transaction import ServerTransaction

OK_RETRY_S: Final = 0.25
OK_RETRIES: Final = 2
_NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class LocalIdentity:
    """What the node announces of itself, and how it behaves by configuration."""

    ip: str
    port: int
    ringing_interval_s: float
    record_route: bool = False

    @property
    def contact(self) -> str:
        return f"<sip:{self.ip}:{self.port};transport=udp>"


class InboundDialog:
    """UAS side of a dialog. `local_tag` is the LiveKit call id (SCL_...); `branch_seed` makes our branches unique."""

    def __init__(
        self, endpoint: Endpoint, transaction: ServerTransaction, local: LocalIdentity, local_tag: str
    ) -> None:
        self.invite: Request = transaction.request
        self.local_tag = local_tag
        self.acked = asyncio.Event()
        self.cancelled = transaction.cancelled
        self.invite_cseq = transaction.request.cseq_number
        self.answer_sdp = b""
        self._endpoint, self._transaction, self._local = endpoint, transaction, local
        self._next_cseq = self.invite_cseq + 1
        self._ringing: asyncio.Task[None] | None = None
        self._established = False
        self._closed = False

    @property
    def established(self) -> bool:
        return self._established

    def respond(self, code: int, reason: str, headers: Mapping[str, str] = _NO_HEADERS, body: bytes = b"") -> None:
        """Answer the INVITE. Nothing happens once the dialog is closed."""
        if self._closed:
            return
        extra = [*headers.items(), ("Allow", ALLOW)]
        if code >= 200:
            extra.append(("Contact", self._local.contact))
        data = build_response(
            self.invite, code, reason, to_tag=self.local_tag, headers=[*self._record_route(), *extra], body=body
        )
        self._transaction.respond(code, data)

    def start_ringing(self) -> None:
        """180 now and again every ringing interval, until something else is answered."""
        self.respond(180, "Ringing")
        self._ringing = asyncio.create_task(self._ring(), name=f"ring-{self.local_tag}")

    def reject(self, code: int, reason: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """A final answer other than 200, then nothing more."""
        self._stop_ringing()
        self.respond(code, reason, headers)
        self.drop()

    def drop(self) -> None:
        """Nothing more is sent for this dialog; a caller without a final answer hears silence."""
        if self._closed:
            return
        self._stop_ringing()
        self._closed = True
        self._transaction.abandon()
        self._endpoint.release(self._transaction)

    async def accept(self, sdp: bytes, headers: Mapping[str, str]) -> None:
        """200 with `sdp`, repeated twice until the ACK; returns when it came or the copies are used up, because the far
        side thinks it is connected either way."""
        self._stop_ringing()
        self.answer_sdp, self._established = sdp, True
        delay = OK_RETRY_S
        for _ in range(OK_RETRIES + 1):
            self._send_ok(sdp, headers)
            try:
                await asyncio.wait_for(self.acked.wait(), delay)
            except TimeoutError:
                delay *= 2
            else:
                return

    async def bye(self, headers: Mapping[str, str]) -> int | None:
        """Hang up; the status of the answer, None when there was none or nothing was left to hang up."""
        if self._closed or not self._established:
            return None
        branch = f"{MAGIC_COOKIE}.{self.local_tag}.{self._next_cseq}"
        data, destination = self._bye_request(branch, headers)
        self.drop()
        if destination is None:
            return None
        response = await self._endpoint.request(data, branch, destination)
        return None if response is None else response.code

    def _bye_request(self, branch: str, headers: Mapping[str, str]) -> tuple[bytes, Address | None]:
        contact = self.invite.header("contact")
        target = address_uri(contact) if contact else self.invite.from_uri
        uri = _uri_text(contact) if contact else _uri_text(self.invite.header("from"))
        to = self.invite.header("to")
        own = to if self.invite.to_tag else f"{to};tag={self.local_tag}"
        routes = self.invite.header_values("record-route")
        fields = [
            ("Via", f"SIP/2.0/UDP {self._local.ip}:{self._local.port};branch={branch};rport"),
            *[("Route", route) for route in routes],
            ("Max-Forwards", "70"),
            ("From", own),
            ("To", self.invite.header("from")),
            ("Call-ID", self.invite.call_id),
            ("CSeq", f"{self._next_cseq} BYE"),
            *headers.items(),
        ]
        self._next_cseq += 1
        next_hop = address_uri(routes[0]) if routes else target
        return build_request("BYE", uri, fields), _numeric(next_hop) or self.invite.source

    def _send_ok(self, sdp: bytes, headers: Mapping[str, str]) -> None:
        fields = [
            *self._record_route(),
            ("Contact", self._local.contact),
            ("Content-Type", "application/sdp"),
            *headers.items(),
        ]
        data = build_response(self.invite, 200, "OK", to_tag=self.local_tag, headers=fields, body=sdp)
        self._transaction.respond(200, data)

    def answer_again(self, transaction: ServerTransaction) -> None:
        """A re-INVITE: 200 with the description the call was answered with."""
        fields = [("Content-Type", "application/sdp"), ("Allow", ALLOW), ("Contact", self._local.contact)]
        data = build_response(transaction.request, 200, "OK", headers=fields, body=self.answer_sdp)
        transaction.respond(200, data)
        self._endpoint.release(transaction)

    def _record_route(self) -> list[tuple[str, str]]:
        if not self._local.record_route:
            return []
        return [("Record-Route", f"<sip:{self._local.ip}:{self._local.port};transport=udp;lr>")]

    async def _ring(self) -> None:
        while True:
            await asyncio.sleep(self._local.ringing_interval_s)
            self.respond(180, "Ringing")

    def _stop_ringing(self) -> None:
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None


def _uri_text(address: str) -> str:
    start, end = address.find("<"), address.find(">")
    return address[start + 1 : end] if 0 <= start < end else address.partition(";")[0].strip()


def _numeric(uri: Uri) -> Address | None:
    """A host name in Contact is not looked up: the packet then goes back to where the INVITE came from."""
    try:
        return str(ipaddress.IPv4Address(uri.host)), uri.port or 5060
    except ValueError:
        return None
