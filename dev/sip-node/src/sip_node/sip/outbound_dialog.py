"""The near side of one outbound call: INVITE, its answers, credentials when the far side asks, CANCEL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sip_node.sip.dialog import Dialog, LocalIdentity, Peer, uri_text
from sip_node.sip.digest import ChallengeError, answer_challenge
from sip_node.sip.endpoint import Endpoint
from sip_node.sip.message import ALLOW, MAGIC_COOKIE, Address, Response, build_request
from sip_node.sip.transaction import InviteTransaction

MAX_TRIES: Final = 5
# How long a cancelled INVITE is watched for a 200 that crossed the CANCEL.
_CANCEL_GRACE_S: Final = 5.0


class InviteError(Exception):
    """The call was not answered. `response` is the far side's refusal; without one `kind` says why: "timeout", "silence"
    (no final answer; `provisionals` were seen), "credentials", "challenge", "tries", "malformed"."""

    def __init__(self, kind: str, response: Response | None = None, provisionals: int = 0) -> None:
        super().__init__(kind)
        self.kind, self.response, self.provisionals = kind, response, provisionals


@dataclass(frozen=True)
class Dialled:
    """Who is called how: request URI, From (without tag) and To as they are written, where the packets go, what is shown
    when the far side asks for credentials."""

    uri: str
    own: str
    remote: str
    destination: Address
    username: str = ""
    password: str = ""


class OutboundDialog(Dialog):
    """UAC side of a dialog. `local_tag` is the LiveKit call id (SCL_...)."""

    def __init__(self, endpoint: Endpoint, local: LocalIdentity, local_tag: str, rng: random.Random) -> None:
        super().__init__(endpoint, local, local_tag, f"{rng.getrandbits(128):032x}", 0)
        self.answer: Response | None = None
        self._rng = rng
        self._dialled = Dialled("", "", "", ("", 0))
        self._own = ""
        self._watching: set[asyncio.Task[None]] = set()
        self._cancelled = 0

    def dial(self, dialled: Dialled) -> None:
        """Who `invite` will call."""
        self._dialled, self._own = dialled, f"{dialled.own};tag={self.local_tag}"

    @property
    def remote_tag(self) -> str:
        return self.answer.to_tag if self.answer is not None else ""

    async def invite(
        self, offer: bytes, headers: Mapping[str, str], on_answer: Callable[[Response], None], cancelled: asyncio.Event
    ) -> Response:
        """Call until a 200 comes (not yet acknowledged), which is returned; `on_answer` hears every other answer. When
        `cancelled` is set the INVITE is cancelled. Raises InviteError."""
        credentials: dict[str, str] = {}
        for attempt in range(1, MAX_TRIES + 1):
            response = await self._attempt(offer, {**credentials, **headers}, on_answer, cancelled)
            if response.code == 200:
                if not response.to_tag:
                    raise InviteError("malformed", response)
                self.answer, self._established = response, True
                return response
            if response.code not in (401, 407):
                raise InviteError("refused", response)
            credentials = self._credentials(response, attempt)
        raise InviteError("tries")

    def acknowledge(self) -> None:
        """ACK for the 200; again when the 200 comes again."""
        assert self.answer is not None
        branch = f"{MAGIC_COOKIE}.{self.local_tag}.ack{self._rng.getrandbits(32):08x}"
        self._endpoint.send(*self._ack_for(self.answer, branch))

    def drop(self) -> None:
        """Nothing more is sent; answers to the INVITE are of no interest unless it was cancelled, see `_after_cancel`."""
        super().drop()
        for cseq in range(1, self._next_cseq):
            if cseq != self._cancelled:
                self._endpoint.forget(self._branch(cseq))

    def _branch(self, cseq: int) -> str:
        return f"{MAGIC_COOKIE}.{self.local_tag}.{cseq}"

    async def _attempt(
        self,
        offer: bytes,
        headers: Mapping[str, str],
        on_answer: Callable[[Response], None],
        cancelled: asyncio.Event,
    ) -> Response:
        cseq = self._next_cseq
        self._next_cseq += 1
        data = self._invite_request(cseq, headers, offer)
        transaction = self._endpoint.invite(data, self._branch(cseq), self._dialled.destination)
        abort = asyncio.create_task(cancelled.wait())
        provisionals = 0
        try:
            while True:
                answer = asyncio.create_task(transaction.answers.get())
                await asyncio.wait((answer, abort), return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    answer.cancel()
                    self._cancel(cseq, transaction)
                    raise InviteError("timeout", provisionals=provisionals)
                response = answer.result()
                if response is None:
                    raise InviteError("silence", provisionals=provisionals)
                if response.code >= 200:
                    if response.code >= 300:
                        self._acknowledge_refusal(cseq, response)
                    return response
                provisionals += 1
                on_answer(response)
        finally:
            abort.cancel()

    def _credentials(self, response: Response, attempt: int) -> dict[str, str]:
        asked, answered = (
            ("www-authenticate", "Authorization")
            if response.code == 401
            else ("proxy-authenticate", "Proxy-Authorization")
        )
        if not (self._dialled.username and self._dialled.password):
            raise InviteError("credentials", response)
        challenge = response.header(asked)
        if not challenge:
            raise InviteError("challenge", response)
        uri = uri_text(self._dialled.remote)
        user, password, cnonce = self._dialled.username, self._dialled.password, f"{self._rng.getrandbits(64):016x}"
        try:
            return {answered: answer_challenge(challenge, "INVITE", uri, user, password, cnonce)}
        except ChallengeError as error:
            raise InviteError("unreadable challenge", response) from error

    def _invite_request(self, cseq: int, headers: Mapping[str, str], offer: bytes) -> bytes:
        fields = [
            ("Via", self._local.via(self._branch(cseq))),
            ("CSeq", f"{cseq} INVITE"),
            ("Call-ID", self.call_id),
            ("To", self._dialled.remote),
            ("From", self._own),
            ("Contact", self._local.contact),
            ("Content-Type", "application/sdp"),
            ("Allow", ALLOW),
            *headers.items(),
            ("Max-Forwards", "70"),
        ]
        return build_request("INVITE", self._dialled.uri, fields, offer)

    def _hop(self, method: str, cseq: int, remote: str) -> bytes:
        """CANCEL, or the ACK of a refusal: the INVITE's own branch, so that the next hop takes it for that INVITE."""
        fields = [
            ("Via", self._local.via(self._branch(cseq))),
            ("Max-Forwards", "70"),
            ("From", self._own),
            ("To", remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        return build_request(method, self._dialled.uri, fields)

    def _acknowledge_refusal(self, cseq: int, response: Response) -> None:
        self._endpoint.send(self._hop("ACK", cseq, response.header("to")), self._dialled.destination)

    def _cancel(self, cseq: int, transaction: InviteTransaction) -> None:
        # livekit-sip sends CANCEL whether or not anything was answered yet.
        transaction.stop()
        self._cancelled = cseq
        self._endpoint.send(self._hop("CANCEL", cseq, self._dialled.remote), self._dialled.destination)
        task = asyncio.create_task(self._after_cancel(cseq, transaction), name="cancelled-invite")
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _after_cancel(self, cseq: int, transaction: InviteTransaction) -> None:
        """A 200 that crossed our CANCEL is acknowledged and hung up: the far side must not wait in a call with nobody."""
        try:
            async with asyncio.timeout(_CANCEL_GRACE_S):
                while (response := await transaction.answers.get()) is not None and response.code < 200:
                    continue
        except TimeoutError:
            return
        finally:
            self._endpoint.forget(self._branch(cseq))
        if response is None:
            return
        if response.code >= 300:
            self._acknowledge_refusal(cseq, response)
            return
        self.answer, self._established, self._closed = response, True, False
        self.acknowledge()
        await self.bye({"User-Agent": "LiveKit"})

    def _ack_for(self, response: Response, branch: str) -> tuple[bytes, Address]:
        data, _, destination = self._request("ACK", {"Contact": self._local.contact}, response.cseq_number, branch)
        return data, destination

    def _peer(self) -> Peer:
        answer = self.answer
        if answer is None:
            raise RuntimeError("no answer yet")
        return Peer(
            own=self._own,
            remote=answer.header("to"),
            contact=answer.header("contact"),
            routes=tuple(reversed(answer.header_values("record-route"))),
            source=self._dialled.destination,
        )
