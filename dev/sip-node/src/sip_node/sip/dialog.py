"""What both kinds of dialog have in common: requests of ours within them, and what a re-INVITE is answered with."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sip_node.sip.endpoint import Endpoint
from sip_node.sip.message import ALLOW, MAGIC_COOKIE, Address, Response, Uri, address_uri, build_request, build_response
from sip_node.sip.transaction import ServerTransaction

NO_HEADERS: Final[Mapping[str, str]] = {}


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

    def via(self, branch: str) -> str:
        return f"SIP/2.0/UDP {self.ip}:{self.port};branch={branch};rport"


@dataclass(frozen=True)
class Peer:
    """Where requests within a dialog go and what they are addressed with: From and To with their tags, the far side's
    Contact as it came ("" when it gave none), its routes, and the address its own packets came from."""

    own: str
    remote: str
    contact: str
    routes: tuple[str, ...]
    source: Address


class Dialog:
    """One side of a dialog. `local_tag` is the LiveKit call id (SCL_...); `call_id` the SIP Call-ID; `last_cseq` the last
    CSeq that was used by us, or by the far side's INVITE."""

    def __init__(self, endpoint: Endpoint, local: LocalIdentity, local_tag: str, call_id: str, last_cseq: int) -> None:
        self.local_tag, self.call_id = local_tag, call_id
        self.answer_sdp = b""
        self.invite_cseq = 0
        self._endpoint, self._local = endpoint, local
        self._next_cseq = last_cseq + 1
        self._established = False
        self._closed = False

    @property
    def established(self) -> bool:
        return self._established

    @property
    def open(self) -> bool:
        """Answered and not hung up."""
        return self._established and not self._closed

    def drop(self) -> None:
        """Nothing more is sent for this dialog."""
        self._closed = True

    async def bye(self, headers: Mapping[str, str]) -> int | None:
        """Hang up; the status of the answer, None when there was none or nothing was left to hang up."""
        if not self.open:
            return None
        data, branch, destination = self._request("BYE", headers)
        self.drop()
        response = await self._endpoint.request(data, branch, destination)
        return None if response is None else response.code

    async def refer(self, target: str, headers: Mapping[str, str]) -> tuple[int, Response | None]:
        """Ask the far side to call `target`; the CSeq its NOTIFY may name, and its answer (None: there was none)."""
        cseq = self._next_cseq
        fields = {"Contact": self._local.contact, "Refer-To": target, "Allow": ALLOW, **headers}
        data, branch, destination = self._request("REFER", fields)
        return cseq, await self._endpoint.request(data, branch, destination)

    def answer_again(self, transaction: ServerTransaction) -> None:
        """A re-INVITE: 200 with the description the call was answered with."""
        fields = [("Content-Type", "application/sdp"), ("Allow", ALLOW), ("Contact", self._local.contact)]
        data = build_response(transaction.request, 200, "OK", headers=fields, body=self.answer_sdp)
        transaction.respond(200, data)
        self._endpoint.release(transaction)

    def _peer(self) -> Peer:
        raise RuntimeError("a dialog without a far side")

    def _request(
        self, method: str, headers: Mapping[str, str], cseq: int = 0, branch: str = ""
    ) -> tuple[bytes, str, Address]:
        """A request, its branch and where it goes; with the next CSeq unless one is given."""
        peer = self._peer()
        if not cseq:
            cseq = self._next_cseq
            self._next_cseq += 1
        branch = branch or f"{MAGIC_COOKIE}.{self.local_tag}.{cseq}"
        fields = [
            ("Via", self._local.via(branch)),
            *[("Route", route) for route in peer.routes],
            ("Max-Forwards", "70"),
            ("From", peer.own),
            ("To", peer.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            *headers.items(),
        ]
        next_hop = address_uri(peer.routes[0] if peer.routes else peer.contact or peer.remote)
        data = build_request(method, uri_text(peer.contact or peer.remote), fields)
        return data, branch, numeric(next_hop) or peer.source


def uri_text(address: str) -> str:
    """The URI of a From, To or Contact value as it is written there."""
    start, end = address.find("<"), address.find(">")
    return address[start + 1 : end] if 0 <= start < end else address.partition(";")[0].strip()


def numeric(uri: Uri) -> Address | None:
    """A host name in Contact is not looked up: the packet then goes back to where the far side's came from."""
    try:
        return str(ipaddress.IPv4Address(uri.host)), uri.port or 5060
    except ValueError:
        return None
