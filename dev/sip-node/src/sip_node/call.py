"""One inbound call from its INVITE to its end, in livekit-sip's order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from livekit.protocol import sip as sip_proto

from sip_node.attributes import CALL_STATUS, headers_to_attributes
from sip_node.call_state import CallRecord
from sip_node.dispatch import Dispatch, DispatchResult, evaluate
from sip_node.leg import DROPPED, HANGUP, CallLeg, CallServices, End
from sip_node.psrpc.client import RpcError
from sip_node.room import RoomError, RoomLeg, join_token
from sip_node.rtp.ports import NoFreePort
from sip_node.rtp.stream import MediaStream
from sip_node.sip.inbound_dialog import InboundDialog
from sip_node.sip.message import Request
from sip_node.sip.sdp import Offer, SdpError, build_answer, parse_offer
from sip_node.waiting import first_set

log = structlog.get_logger()

ACK_LATE_S: Final = 3.0
BRIDGE_DELAY_S: Final = 1.0
CANCELLED: Final = End(status="hangup", code=487, reason="Request Terminated")


class Refusal(Exception):
    """The call is not taken: answered with `code`, or met by silence when it is 0."""

    def __init__(self, code: int, reason: str, error: str) -> None:
        super().__init__(error)
        self.code, self.reason = code, reason


class InboundCall(CallLeg):
    """`run` is the whole call."""

    def __init__(
        self,
        services: CallServices,
        dialog: InboundDialog,
        call: Any,
        record: CallRecord,
        trunk_id: str,
        on_refused: Callable[[int, str], None],
    ) -> None:
        super().__init__(services, dialog, record)
        self.dialog = dialog
        self._call, self._trunk_id, self._on_refused = call, trunk_id, on_refused
        self._dispatch = Dispatch(DispatchResult.DROP)
        self._bridged = True

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
        self._mapped = dispatch.attributes_to_headers
        self._general_timeout_s = dispatch.media_timeout_s or self._services.media_timeout_s
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
        stream = MediaStream(rtp, offer, self._services.rng, self._on_audio, self._on_digit, self._mixer)
        self._stream = stream
        self.dialog.answer_sdp = build_answer(offer, self._services.media_ip, rtp.port)
        self._services.clock.add(stream)
        self._release.append(lambda: self._services.clock.remove(stream))
        self._record.info.audio_codec = offer.codec
        return offer

    async def _join(self, dispatch: Dispatch) -> RoomLeg:
        credentials = self._services.credentials
        attributes = {
            **dispatch.attributes,
            **headers_to_attributes(self.dialog.invite, dispatch.headers_to_attributes, dispatch.include_headers),
            CALL_STATUS: "ringing",
        }
        self._room = room = RoomLeg(self._mixer, self._play_digits)
        token = dispatch.token or join_token(credentials, dispatch, attributes)
        try:
            await room.join(dispatch.ws_url or credentials.ws_url, token, attributes)
            self._register_rpc(room)
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
        await self.dialog.accept(self.dialog.answer_sdp, self._with_mapped(self._dispatch.headers))
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
        self.ended.set()
        if self._watch is not None:
            self._watch.cancel()
        room = self._room
        if room is not None and end.status:
            await room.set_status(end.status)
        headers = self._with_mapped(end.headers)
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
        await self._give_back(room, end)

    def _far_headers(self) -> Request:
        return self.dialog.invite


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
