"""The far side of one inbound call: what is answered, when it is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from sip_node.sip.dialog import NO_HEADERS, Dialog, LocalIdentity, Peer
from sip_node.sip.endpoint import Endpoint
from sip_node.sip.message import ALLOW, Request, build_response
from sip_node.sip.transaction import ServerTransaction

OK_RETRY_S: Final = 0.25
OK_RETRIES: Final = 2


class InboundDialog(Dialog):
    """UAS side of a dialog: it answers the INVITE of `transaction`."""

    def __init__(
        self, endpoint: Endpoint, transaction: ServerTransaction, local: LocalIdentity, local_tag: str
    ) -> None:
        self.invite: Request = transaction.request
        super().__init__(endpoint, local, local_tag, self.invite.call_id, self.invite.cseq_number)
        self.acked = asyncio.Event()
        self.cancelled = transaction.cancelled
        self.invite_cseq = self.invite.cseq_number
        self._transaction = transaction
        self._ringing: asyncio.Task[None] | None = None

    def respond(self, code: int, reason: str, headers: Mapping[str, str] = NO_HEADERS, body: bytes = b"") -> None:
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

    def reject(self, code: int, reason: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """A final answer other than 200, then nothing more."""
        self._stop_ringing()
        self.respond(code, reason, headers)
        self.drop()

    def drop(self) -> None:
        """Nothing more is sent for this dialog; a caller without a final answer hears silence."""
        if self._closed:
            return
        self._stop_ringing()
        super().drop()
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

    def _peer(self) -> Peer:
        invite = self.invite
        to = invite.header("to")
        return Peer(
            own=to if invite.to_tag else f"{to};tag={self.local_tag}",
            remote=invite.header("from"),
            contact=invite.header("contact"),
            routes=tuple(invite.header_values("record-route")),
            source=invite.source,
        )

    def _send_ok(self, sdp: bytes, headers: Mapping[str, str]) -> None:
        fields = [
            *self._record_route(),
            ("Contact", self._local.contact),
            ("Content-Type", "application/sdp"),
            *headers.items(),
        ]
        data = build_response(self.invite, 200, "OK", to_tag=self.local_tag, headers=fields, body=sdp)
        self._transaction.respond(200, data)

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
