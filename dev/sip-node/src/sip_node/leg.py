"""What inbound and outbound calls have in common: media and its timeout, the room, participant RPC, transfer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from livekit.rtc import DisconnectReason

from sip_node.attributes import attributes_to_headers, remote_headers
from sip_node.call_state import CallRecord
from sip_node.psrpc.client import RpcClient
from sip_node.psrpc.server import ServiceError
from sip_node.room import Credentials, RoomLeg
from sip_node.rtp.clock import MediaClock
from sip_node.rtp.ports import PortPool
from sip_node.rtp.stream import MediaStream, Mixer
from sip_node.rtp.tones import RingingTone
from sip_node.sip.dialog import Dialog
from sip_node.sip.message import Request, Response
from sip_node.sip.sdp import parse_remote
from sip_node.transfer import Referral, refused
from sip_node.waiting import first_set

log = structlog.get_logger()

# How long the far side may take to hang up by itself after a transfer.
TRANSFERRED_S: Final = 1.0


@dataclass(frozen=True)
class CallServices:
    """What every call of a node shares."""

    rpc: RpcClient
    ports: PortPool
    clock: MediaClock
    credentials: Credentials
    media_ip: str
    media_timeout_s: float
    media_timeout_initial_s: float
    rng: random.Random


@dataclass(frozen=True)
class End:
    """How a call ends: `status` for sip.callStatus ("" leaves it), `code` and `reason` when it was not answered,
    `headers` for the BYE or the answer, `error` for the call record, `left` as what the participant leaves."""

    status: str = ""
    code: int = 486
    reason: str = "Rejected"
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    left: int = DisconnectReason.CLIENT_INITIATED


HANGUP: Final = End(status="hangup")
DROPPED: Final = End()


class CallLeg:
    """`run` (of the two kinds) is the whole call; the methods here are what may happen to it meanwhile."""

    def __init__(self, services: CallServices, dialog: Dialog, record: CallRecord) -> None:
        self.ended = asyncio.Event()
        self._leg, self._services, self._record = dialog, services, record
        self._hangup, self._killed = asyncio.Event(), asyncio.Event()
        self._ended_by_rpc, self._media_timeout = asyncio.Event(), asyncio.Event()
        self._rpc_headers: dict[str, str] = {}
        self._mapped: Mapping[str, str] = {}
        self._general_timeout_s = services.media_timeout_s
        self._mixer = Mixer()
        self._stream: MediaStream | None = None
        self._room: RoomLeg | None = None
        self._bridged = False
        self._referral: Referral | None = None
        self._release: list[Callable[[], None]] = []
        self._watch: asyncio.Task[None] | None = None
        self._watch_changed = asyncio.Event()
        self._initial_s, self._since = services.media_timeout_initial_s, 0.0
        self._log = log.bind(callID=dialog.local_tag)

    @property
    def tracks_read(self) -> int:
        """Audio tracks of the room that this call reads now."""
        return 0 if self._room is None else self._room.tracks_read

    def remote_bye(self) -> None:
        """The far side hung up and was answered; nothing more may be sent."""
        self._leg.drop()
        self._hangup.set()

    def kill(self) -> None:
        """End now: the process is stopping."""
        self._killed.set()

    def reinvite(self, body: bytes) -> None:
        """A re-INVITE moves the far side's media at most; hold changes nothing, as with livekit-sip."""
        remote = parse_remote(body)
        if remote is not None and self._stream is not None:
            self._stream.set_remote(remote)

    def notified(self, cseq: int, code: int, reason: str) -> bool:
        """What the far side says of a REFER; False when nobody waits for it. A `cseq` of 0 names no REFER."""
        if self._referral is None:
            return code < 200
        self._referral.notified(cseq, code, reason)
        return True

    async def transfer(self, target: str, headers: Mapping[str, str], dialtone: bool, timeout_s: float) -> None:
        """REFER the far side to `target` and wait for what it says of that, `timeout_s` at most. It then has a second to
        hang up. Raises ServiceError, and the call goes on."""
        stream = self._stream
        if not self._leg.open or stream is None:
            raise ServiceError("failed_precondition", "can't transfer non established call")
        stream.instead = RingingTone().frame if dialtone else None
        try:
            await self._refer(target, self._with_mapped(headers), timeout_s)
        except ServiceError:
            stream.instead = None
            raise
        if dialtone:
            stream.instead = _silence
        handle = asyncio.get_running_loop().call_later(TRANSFERRED_S, self._hangup.set)
        self._release.append(handle.cancel)
        self._log.info("transferred")

    async def _refer(self, target: str, headers: Mapping[str, str], timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        self._referral = referral = Referral()
        try:
            referral.cseq, response = await self._leg.refer(target, headers)
            if response is None:
                raise ServiceError("canceled", "transaction failed to complete (0 intermediate responses)")
            if response.code not in (200, 202):
                raise refused(response.code, response.reason, "")
            outcome = {"told": referral.told, "over": self.ended, "bye": self._hangup}
            if not await first_set(outcome, max(0.0, deadline - loop.time())):
                raise ServiceError("canceled", "refer canceled")
            if referral.failure is not None:
                raise referral.failure
        finally:
            self._referral = None

    def _with_mapped(self, headers: Mapping[str, str]) -> dict[str, str]:
        attributes = self._room.attributes if self._room is not None else {}
        return attributes_to_headers(attributes, self._mapped, headers)

    def _endings(self, room: RoomLeg) -> dict[str, asyncio.Event]:
        return {
            "hangup": self._hangup,
            "ended": self._ended_by_rpc,
            "room": room.closed,
            "media timeout": self._media_timeout,
            "killed": self._killed,
        }

    def _watch_media(self, initial_s: float) -> None:
        self._initial_s, self._since = initial_s, asyncio.get_running_loop().time()
        self._watch_changed.set()
        if self._watch is None:
            self._watch = asyncio.create_task(self._media_watch(), name="media-watch")

    async def _media_watch(self) -> None:
        loop, stream = asyncio.get_running_loop(), self._stream
        assert stream is not None
        general_s = self._general_timeout_s
        while True:
            self._watch_changed.clear()
            last = stream.last_packet
            deadline = self._since + self._initial_s if last is None else last + general_s
            remaining = deadline - loop.time()
            if remaining <= 0:
                self._media_timeout.set()
                return
            await first_set({"changed": self._watch_changed}, min(remaining, general_s))

    def _on_audio(self, samples: Any) -> None:
        if self._room is not None and self._bridged:
            self._room.push(samples)

    def _on_digit(self, event: Any) -> None:
        if self._room is not None and self._bridged:
            self._room.send_digit(event)

    def _play_digits(self, digits: str) -> None:
        if self._stream is not None:
            self._stream.play_digits(digits)

    def _far_headers(self) -> Request | Response | None:
        raise RuntimeError("a call without a far side")

    async def _rpc_headers_of(self, request: dict[str, Any]) -> dict[str, Any]:
        include, exclude = request.get("include") or [], request.get("exclude") or []
        message = self._far_headers()
        return {"headers": {} if message is None else remote_headers(message, include, exclude)}

    async def _rpc_end(self, request: dict[str, Any]) -> dict[str, Any]:
        headers = request.get("headers") or {}
        self._rpc_headers = {str(name): str(value) for name, value in headers.items()}
        self._ended_by_rpc.set()
        return {}

    def _register_rpc(self, room: RoomLeg) -> None:
        room.register_rpc({"lk.sip.GetRemoteHeaders": self._rpc_headers_of, "lk.sip.EndCall": self._rpc_end})

    async def _give_back(self, room: RoomLeg | None, end: End) -> None:
        """Everything the call held, after the far side was told."""
        if room is not None:
            await room.leave(end.left)
        for release in reversed(self._release):
            release()
        self._record.ended(end.error)


def _silence() -> None:
    return None
