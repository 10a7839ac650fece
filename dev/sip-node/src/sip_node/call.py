"""One inbound call from its INVITE to its end, in livekit-sip's order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from livekit.protocol import sip as sip_proto

from sip_node.attributes import CALL_STATUS, attributes_to_headers, headers_to_attributes, remote_headers
from sip_node.call_state import CallRecord
from sip_node.dispatch import Dispatch, DispatchResult, evaluate
from sip_node.psrpc.client import RpcClient, RpcError
from sip_node.room import Credentials, RoomError, RoomLeg, join_token
from sip_node.rtp.clock import MediaClock
from sip_node.rtp.ports import NoFreePort, PortPool
from sip_node.rtp.stream import MediaStream
from sip_node.sip.dialog import InboundDialog
from sip_node.sip.sdp import Offer, SdpError, build_answer, parse_offer, parse_remote
from sip_node.waiting import first_set

log = structlog.get_logger()

ACK_LATE_S: Final = 3.0
BRIDGE_DELAY_S: Final = 1.0
_NO_HEADERS: Final[Mapping[str, str]] = {}


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
    `headers` for the BYE or the answer, `error` for the call record."""

    status: str = ""
    code: int = 486
    reason: str = "Rejected"
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


HANGUP: Final = End(status="hangup")
CANCELLED: Final = End(status="hangup", code=487, reason="Request Terminated")
DROPPED: Final = End()


class Refusal(Exception):
    """The call is not taken: answered with `code`, or met by silence when it is 0."""

    def __init__(self, code: int, reason: str, error: str) -> None:
        super().__init__(error)
        self.code, self.reason = code, reason


class InboundCall:
    """`run` is the whole call; the methods beside it are what may happen to it meanwhile."""

    def __init__(
        self,
        services: CallServices,
        dialog: InboundDialog,
        call: Any,
        record: CallRecord,
        trunk_id: str,
        on_refused: Callable[[int, str], None],
    ) -> None:
        self.dialog = dialog
        self._services, self._call, self._record, self._trunk_id = services, call, record, trunk_id
        self._on_refused = on_refused
        self._hangup, self._killed = asyncio.Event(), asyncio.Event()
        self._ended_by_rpc, self._media_timeout = asyncio.Event(), asyncio.Event()
        self._rpc_headers: dict[str, str] = {}
        self._dispatch = Dispatch(DispatchResult.DROP)
        self._stream: MediaStream | None = None
        self._room: RoomLeg | None = None
        self._release: list[Callable[[], None]] = []
        self._watch: asyncio.Task[None] | None = None
        self._watch_changed = asyncio.Event()
        self._initial_s, self._since = services.media_timeout_initial_s, 0.0
        self._log = log.bind(callID=dialog.local_tag)

    def remote_bye(self) -> None:
        """The caller hung up and was answered; nothing more may be sent."""
        self.dialog.drop()
        self._hangup.set()

    def kill(self) -> None:
        """End now: the process is stopping."""
        self._killed.set()

    def reinvite(self, body: bytes) -> None:
        """A re-INVITE moves the caller's media at most; hold changes nothing, as with livekit-sip."""
        remote = parse_remote(body)
        if remote is not None and self._stream is not None:
            self._stream.set_remote(remote)

    async def run(self) -> None:
        """Take the call to its end. Never raises."""
        refusal: Refusal | None = None
        try:
            end = await self._converse()
        except Refusal as error:
            refusal, end = error, End(error=str(error))
            self._log.info("call refused", code=error.code, reason=str(error))
        except Exception as error:
            self._log.exception("call failed")
            end = End(error=type(error).__name__)
        try:
            await self._close(end, refusal)
        except Exception:
            self._log.exception("call did not close cleanly")

    async def _converse(self) -> End:
        self.dialog.start_ringing()
        self._dispatch = dispatch = await self._ask_where()
        offer = await self._start_media(dispatch)
        loop = asyncio.get_running_loop()
        limit = loop.call_later(dispatch.max_call_s, self._hangup.set)
        self._release.append(limit.cancel)
        room = await self._join(dispatch)
        room.subscribe()
        end = await self._wait_for_audio(room, dispatch.ringing_timeout_s)
        if end is not None:
            return end
        end = await self._answer(offer, room)
        if end is not None:
            return end
        await self._record_active(room)
        return await self._until_end(room)

    async def _ask_where(self) -> Dispatch:
        try:
            dispatch = await evaluate(self._services.rpc, self._call, self._trunk_id)
        except RpcError as error:
            raise Refusal(503, "Try again later", f"dispatch rule evaluation failed: {error.code}") from error
        except ValueError as error:
            raise Refusal(500, "", str(error)) from error
        info = self._record.info
        info.trunk_id, info.dispatch_rule_id = dispatch.trunk_id, dispatch.rule_id
        info.room_name, info.participant_identity = dispatch.room_name, dispatch.identity
        info.participant_attributes.update(dispatch.attributes)
        self._record.flush()
        if dispatch.result is DispatchResult.DROP:
            raise Refusal(0, "", "no dispatch rule: dropped")
        if dispatch.result is DispatchResult.REJECT:
            raise Refusal(404, "Does not match Trunks or Dispatch Rules", "no dispatch rule: rejected")
        if dispatch.result is DispatchResult.REQUEST_PIN:
            raise Refusal(501, "PIN rules need livekit-sip", "the dispatch rule asks for a PIN")
        return dispatch

    async def _start_media(self, dispatch: Dispatch) -> Offer:
        try:
            rtp = await self._services.ports.acquire()
        except NoFreePort as error:
            raise Refusal(500, "", str(error)) from error
        self._release.append(lambda: self._services.ports.release(rtp))
        try:
            offer = parse_offer(self.dialog.invite.body, dispatch.media)
        except SdpError as error:
            reason = "SRTP needs livekit-sip" if error.code == 488 else ""
            raise Refusal(error.code, reason, str(error)) from error
        stream = MediaStream(rtp, offer, self._services.rng, self._on_frame, self._on_digit)
        self._stream = stream
        self.dialog.answer_sdp = build_answer(offer, self._services.media_ip, rtp.port)
        self._services.clock.add(stream)
        self._release.append(lambda: self._services.clock.remove(stream))
        self._record.info.audio_codec = offer.codec
        return offer

    async def _join(self, dispatch: Dispatch) -> RoomLeg:
        stream, credentials = self._stream, self._services.credentials
        assert stream is not None
        attributes = {
            **dispatch.attributes,
            **headers_to_attributes(self.dialog.invite, dispatch.headers_to_attributes, dispatch.include_headers),
            CALL_STATUS: "ringing",
        }
        self._room = room = RoomLeg(stream.mixer, stream.play_digits)
        token = dispatch.token or join_token(credentials, dispatch, attributes)
        try:
            await room.join(dispatch.ws_url or credentials.ws_url, token, attributes)
            room.register_rpc({"lk.sip.GetRemoteHeaders": self._rpc_headers_of, "lk.sip.EndCall": self._rpc_end})
            await room.publish(dispatch.identity)
            await room.visible()
        except RoomError as error:
            # livekit-sip closes such a call like any other that was not answered: 486.
            self._log.warning("room not usable", reason=str(error))
            room.closed.set()
        return room

    async def _wait_for_audio(self, room: RoomLeg, timeout_s: float) -> End | None:
        event = await first_set(
            {
                "cancelled": self.dialog.cancelled,
                "hangup": self._hangup,
                "room": room.closed,
                "ended": self._ended_by_rpc,
                "killed": self._killed,
                "answer": room.answerable,
            },
            timeout_s,
        )
        self._log.info("ringing is over", event_name=event or "ringing timeout")
        if event == "answer":
            return None
        if event == "ended":
            return End(status="hangup", headers=self._rpc_headers)
        return {"cancelled": CANCELLED, "hangup": HANGUP, "room": HANGUP}.get(event, DROPPED)

    async def _answer(self, offer: Offer, room: RoomLeg) -> End | None:
        stream = self._stream
        assert stream is not None
        headers = attributes_to_headers(room.attributes, self._dispatch.attributes_to_headers, self._dispatch.headers)
        await self.dialog.accept(self.dialog.answer_sdp, headers)
        self._watch_media(self._services.media_timeout_initial_s)
        stream.enable_output()
        self._log.info("answered", codec=offer.codec, acked=self.dialog.acked.is_set())
        # The room hears "active" when the caller's audio is there, or a second later in case it never comes.
        event = await first_set({**self._endings(room), "media": stream.first_packet}, BRIDGE_DELAY_S)
        if event in ("", "media"):
            await room.set_status("active")
            return None
        return HANGUP if event == "room" else self._end_for(event)

    async def _record_active(self, room: RoomLeg) -> None:
        info = self._record.info
        info.room_id = await room.sid()
        info.participant_attributes.update(room.attributes)
        self._record.active()
        self._log.info("call active", roomID=info.room_id)

    async def _until_end(self, room: RoomLeg) -> End:
        endings = self._endings(room)
        event = await first_set({**endings, "acked": self.dialog.acked}, ACK_LATE_S)
        if event == "":
            # No ACK, but the caller may well be talking: only a shorter wait for the first packet tells.
            self._log.warning("no ACK for the 200")
            self._watch_media(min(ACK_LATE_S, self._services.media_timeout_initial_s))
        if event in ("", "acked"):
            event = await first_set(endings)
        return self._end_for(event)

    def _endings(self, room: RoomLeg) -> dict[str, asyncio.Event]:
        return {
            "hangup": self._hangup,
            "ended": self._ended_by_rpc,
            "room": room.closed,
            "media timeout": self._media_timeout,
            "killed": self._killed,
        }

    def _end_for(self, event: str) -> End:
        self._log.info("call ends", event_name=event)
        if event == "hangup":
            return HANGUP
        if event == "ended":
            return End(status="hangup", headers=self._rpc_headers)
        if event == "media timeout":
            if not self.dialog.acked.is_set():
                return End(error="no ACK received for 200 OK")
            return End(status="hangup", error="media-timeout")
        return DROPPED

    async def _close(self, end: End, refusal: Refusal | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        room = self._room
        if room is not None and end.status:
            await room.set_status(end.status)
        attributes = room.attributes if room is not None else {}
        headers = attributes_to_headers(attributes, self._dispatch.attributes_to_headers, end.headers)
        if refusal is not None:
            if refusal.code:
                self.dialog.reject(refusal.code, refusal.reason)
                self._on_refused(refusal.code, refusal.reason)
        elif self.dialog.established:
            # BYE goes out before the room is left, and a caller who doesn't answer it keeps the participant there.
            code = await self.dialog.bye(headers)
            self._log.info("hung up", answer=code)
        else:
            self.dialog.reject(end.code, end.reason, headers)
        self.dialog.drop()
        if room is not None:
            await room.leave()
        for release in reversed(self._release):
            release()
        self._record.ended(end.error)

    def _watch_media(self, initial_s: float) -> None:
        self._initial_s, self._since = initial_s, asyncio.get_running_loop().time()
        self._watch_changed.set()
        if self._watch is None:
            self._watch = asyncio.create_task(self._media_watch(), name="media-watch")

    async def _media_watch(self) -> None:
        loop, stream = asyncio.get_running_loop(), self._stream
        assert stream is not None
        general_s = self._dispatch.media_timeout_s or self._services.media_timeout_s
        while True:
            self._watch_changed.clear()
            last = stream.last_packet
            deadline = self._since + self._initial_s if last is None else last + general_s
            remaining = deadline - loop.time()
            if remaining <= 0:
                self._media_timeout.set()
                return
            await first_set({"changed": self._watch_changed}, min(remaining, general_s))

    def _on_frame(self, frame: Any) -> None:
        if self._room is not None:
            self._room.push(frame)

    def _on_digit(self, event: Any) -> None:
        if self._room is not None:
            self._room.send_digit(event)

    async def _rpc_headers_of(self, request: dict[str, Any]) -> dict[str, Any]:
        include, exclude = request.get("include") or [], request.get("exclude") or []
        return {"headers": remote_headers(self.dialog.invite, include, exclude)}

    async def _rpc_end(self, request: dict[str, Any]) -> dict[str, Any]:
        headers = request.get("headers") or {}
        self._rpc_headers = {str(name): str(value) for name, value in headers.items()}
        self._ended_by_rpc.set()
        return {}


def new_call_info(call_id: str, invite: Any, trunk_id: str) -> Any:
    """The SIPCallInfo an inbound call starts with."""
    caller, called = invite.from_uri, invite.to_uri
    ip, port = invite.source
    return sip_proto.SIPCallInfo(
        call_id=call_id,
        trunk_id=trunk_id,
        call_status=sip_proto.SCS_CALL_INCOMING,
        call_direction=sip_proto.SCD_INBOUND,
        sip_call_id=invite.call_id,
        from_uri=sip_proto.SIPUri(user=caller.user, host=ip, port=port, transport=sip_proto.SIP_TRANSPORT_UDP),
        to_uri=sip_proto.SIPUri(
            user=called.user, host=called.host, port=called.port, transport=sip_proto.SIP_TRANSPORT_UDP
        ),
    )
