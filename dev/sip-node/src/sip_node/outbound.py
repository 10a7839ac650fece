"""One outbound call from CreateSIPParticipant to its end, in livekit-sip's order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from livekit.protocol import sip as sip_proto
from livekit.rtc import DisconnectReason

from sip_node.attributes import CALL_STATUS, headers_to_attributes, known_attributes
from sip_node.call_state import CallRecord
from sip_node.leg import DROPPED, HANGUP, CallLeg, CallServices, End
from sip_node.outbound_request import OutboundRequest, resolve
from sip_node.psrpc.server import ServiceError
from sip_node.room import RoomError, RoomLeg, join_token
from sip_node.rtp.ports import NoFreePort, RtpSocket
from sip_node.rtp.stream import MediaStream
from sip_node.rtp.tones import RingingTone
from sip_node.sip.message import Address, Response, parse_sip_uri
from sip_node.sip.outbound_dialog import InviteError, OutboundDialog
from sip_node.sip.sdp import SdpError, build_answer, build_offer, parse_answer
from sip_node.transfer import refused
from sip_node.waiting import first_set

_UNAVAILABLE: Final = End(left=DisconnectReason.USER_UNAVAILABLE)
_REJECTED: Final = End(left=DisconnectReason.USER_REJECTED)
# Statuses whose body, where there is one, says more than the phrase.
_EXPLAINED: Final = (400, 404, 480, 486, 488)
_GONE: Final = (404, 408, 480)
_BYE_HEADERS: Final = {"User-Agent": "LiveKit"}


class RoomTone:
    """The ringing tone for those who wait in the room."""

    def __init__(self, room: RoomLeg) -> None:
        self._room, self._tone = room, RingingTone()

    def tick(self) -> None:
        frame = self._tone.frame()
        if frame is not None:
            self._room.push(frame)


class OutboundCall(CallLeg):
    """`join`, then `run`, which never raises; `answered` ends with the 200 or with why there was none."""

    def __init__(
        self, services: CallServices, dialog: OutboundDialog, record: CallRecord, request: OutboundRequest
    ) -> None:
        super().__init__(services, dialog, record)
        self.dialog = dialog
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._place = request, request.place
        self._mapped = request.place.attributes_to_headers
        self._general_timeout_s = request.place.media_timeout_s or services.media_timeout_s
        self._dial_over = asyncio.Event()
        self._rtp: RtpSocket | None = None
        self._session_id = services.rng.getrandbits(62)

    async def join(self) -> str:
        """Take a port and join the room as the callee, status dialing; the participant's SID. Raises ServiceError."""
        try:
            self._rtp = rtp = await self._services.ports.acquire()
        except NoFreePort as error:
            raise ServiceError("internal", str(error)) from error
        self._release.append(lambda: self._services.ports.release(rtp))
        attributes = {**self._request.attributes, CALL_STATUS: "dialing"}
        credentials = self._services.credentials
        self._room = room = RoomLeg(self._mixer, self._play_digits)
        token = self._place.token or join_token(credentials, self._place, attributes)
        try:
            await room.join(self._place.ws_url or credentials.ws_url, token, attributes)
            self._register_rpc(room)
            await room.publish(self._place.identity)
            await room.visible()
        except RoomError as error:
            await self._give_back(room, End(error=str(error)))
            raise ServiceError("internal", f"update room failed: {error}") from error
        return room.participant_sid

    async def run(self, limit_s: float) -> None:
        """Dial for at most `limit_s`, then talk until somebody ends it."""
        room = self._room
        assert room is not None
        try:
            end = await self._converse(room, limit_s)
        except ServiceError as error:
            end = self._failed(error)
        except Exception as error:
            self._log.exception("call failed")
            end = self._failed(ServiceError("internal", type(error).__name__))
        self.ended.set()
        try:
            await self._close(room, end)
        except Exception:
            self._log.exception("call did not close cleanly")

    async def transfer(self, target: str, headers: Mapping[str, str], dialtone: bool, timeout_s: float) -> None:
        """As `CallLeg.transfer`; while it rings the answer is waited for first, as with livekit-sip."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        done, _ = await asyncio.wait((self.answered,), timeout=timeout_s)
        if not done:
            raise ServiceError("canceled", "refer canceled")
        await super().transfer(target, headers, dialtone, deadline - asyncio.get_running_loop().time())

    async def _converse(self, room: RoomLeg, limit_s: float) -> End:
        place = self._place
        loop = asyncio.get_running_loop()
        longest = loop.call_later(place.max_call_s, self._hangup.set)
        self._release.append(longest.cancel)
        try:
            destination = await resolve(self._request.host, self._request.port)
            response = await self._dial(room, destination, min(limit_s, place.ringing_timeout_s, place.max_call_s))
        except InviteError as error:
            return self._not_answered(error)
        self._take_answer(response)
        if self._dial_over.is_set():
            raise ServiceError("canceled", "sip request timed out")
        await self._connect(room, response)
        self.answered.set_result(None)
        self._record.info.room_id = await room.sid()
        self._record.info.participant_attributes.update(room.attributes)
        self._record.active()
        return await self._until_end(room)

    async def _dial(self, room: RoomLeg, destination: Address, limit_s: float) -> Response:
        request = self._request
        assert self._rtp is not None
        try:
            offer = build_offer(self._place.media, self._services.media_ip, self._rtp.port, self._session_id)
        except SdpError as error:
            raise ServiceError("failed_precondition", str(error)) from error
        self.dialog.dial(request.dialled(destination))
        tone = RoomTone(room)
        if request.dialtone:
            self._services.clock.add(tone)
        rung = self._Ringing(self, room)
        watch = asyncio.create_task(self._watch_dialling(room, limit_s), name="dialling")
        try:
            return await self.dialog.invite(offer, request.headers, rung.heard, self._dial_over)
        finally:
            watch.cancel()
            self._services.clock.remove(tone)
            await rung.done()

    async def _watch_dialling(self, room: RoomLeg, limit_s: float) -> None:
        event = await first_set(self._endings(room), limit_s)
        self._log.info("dialling is over", event_name=event or "timeout")
        self._dial_over.set()

    class _Ringing:
        """Provisional answers as attributes, in the order they came."""

        def __init__(self, call: OutboundCall, room: RoomLeg) -> None:
            self._call, self._room, self._rings = call, room, False
            self._queue: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
            self._task = asyncio.create_task(self._set(), name="ringing")

        def heard(self, response: Response) -> None:
            if response.code >= 180 and not self._rings:
                self._rings = True
                self._queue.put_nowait({CALL_STATUS: "ringing"})
            self._queue.put_nowait(known_attributes(response))

        async def done(self) -> None:
            """All of them are set."""
            self._queue.put_nowait(None)
            await self._task

        async def _set(self) -> None:
            while (attributes := await self._queue.get()) is not None:
                await self._room.set_attributes(attributes)

    def _take_answer(self, response: Response) -> None:
        """Audio to where the answer says, and the ACK. Raises ServiceError; without an ACK then, as livekit-sip."""
        assert self._rtp is not None
        try:
            answer = parse_answer(response.body, self._place.media, self._session_id)
        except SdpError as error:
            raise ServiceError("failed_precondition", str(error)) from error
        services = self._services
        self._stream = stream = MediaStream(
            self._rtp, answer, services.rng, self._on_audio, self._on_digit, self._mixer
        )
        self.dialog.answer_sdp = build_answer(answer, services.media_ip, self._rtp.port)
        self._record.info.audio_codec = answer.codec
        services.clock.add(stream)
        self._release.append(lambda: services.clock.remove(stream))
        stream.enable_output()
        self._watch_media(services.media_timeout_initial_s)
        self.dialog.acknowledge()
        self._log.info("answered", codec=answer.codec)

    async def _connect(self, room: RoomLeg, response: Response) -> None:
        place, stream = self._place, self._stream
        assert stream is not None
        await room.set_attributes(headers_to_attributes(response, place.headers_to_attributes, place.include_headers))
        if self._request.dtmf:
            await room.set_status("automation")
            stream.play_digits(self._request.dtmf)
            await first_set({**self._endings(room), "played": stream.digits_played})
        await room.set_status("active")
        self._bridged = True
        room.subscribe()

    async def _until_end(self, room: RoomLeg) -> End:
        event = await first_set(self._endings(room))
        self._log.info("call ends", event_name=event)
        if event == "ended":
            return replace(HANGUP, headers=self._rpc_headers)
        if event == "media timeout":
            return replace(DROPPED, error="media-timeout")
        return HANGUP if event == "hangup" else DROPPED

    def _not_answered(self, error: InviteError) -> End:
        response = error.response
        if error.kind == "refused" and response is not None:
            return self._refused(response)
        silence = f"transaction failed to complete ({error.provisionals} intermediate responses)"
        kinds = {
            "timeout": ("canceled", "sip request timed out", _UNAVAILABLE),
            "silence": ("canceled", silence, replace(_UNAVAILABLE, error=silence)),
            "credentials": (
                "failed_precondition",
                "sip server required auth, but no username or password was provided",
                _REJECTED,
            ),
            "challenge": ("failed_precondition", "no auth header in sip invite response", _REJECTED),
            "tries": ("failed_precondition", "max auth retry attempts reached for SIP invite", _REJECTED),
        }
        code, text, end = kinds.get(error.kind, ("failed_precondition", f"INVITE failed: {error.kind}", DROPPED))
        return self._failed(ServiceError(code, text), end)

    def _refused(self, response: Response) -> End:
        code, phrase = response.code, response.reason
        prefix = "unexpected status from INVITE response: "
        if code in _EXPLAINED:
            prefix = "INVITE failed: "
            phrase = response.body.decode("utf-8", "replace") or response.header("x-twilio-error") or phrase
        info = self._record.info
        info.call_status_code.code, info.call_status_code.status = code, phrase
        if code in _GONE:
            end = _UNAVAILABLE
        elif 500 <= code < 600 or code < 400:
            end = replace(DROPPED, error=f"sip status: {code}", left=DisconnectReason.UNKNOWN_REASON)
        else:
            end = _REJECTED
        return self._failed(refused(code, phrase, prefix), end)

    def _failed(self, error: ServiceError, end: End = DROPPED) -> End:
        self._log.info("not answered", code=error.code)
        if not self.answered.done():
            self.answered.set_exception(error)
            # Nobody may be waiting: the API has had its answer when it didn't ask for the call's.
            self.answered.exception()
        return end

    async def _close(self, room: RoomLeg, end: End) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if end.status:
            await room.set_status(end.status)
        if self.dialog.open:
            code = await self.dialog.bye(self._with_mapped({**_BYE_HEADERS, **end.headers}))
            self._log.info("hung up", answer=code)
        self.dialog.drop()
        await self._give_back(room, end)

    def _far_headers(self) -> Response | None:
        return self.dialog.answer


def new_outbound_info(request: OutboundRequest, sip_call_id: str, local: Address) -> Any:
    """The SIPCallInfo an outbound call starts with."""
    own, called = parse_sip_uri(_inside(request.own)), parse_sip_uri(_inside(request.remote))
    udp = sip_proto.SIP_TRANSPORT_UDP
    return sip_proto.SIPCallInfo(
        call_id=request.call_id,
        trunk_id=request.trunk_id,
        room_name=request.place.room_name,
        participant_identity=request.place.identity,
        participant_attributes=dict(request.attributes),
        call_direction=sip_proto.SCD_OUTBOUND,
        sip_call_id=sip_call_id,
        from_uri=sip_proto.SIPUri(user=own.user, host=own.host, ip=local[0], port=local[1], transport=udp),
        to_uri=sip_proto.SIPUri(user=called.user, host=called.host, port=called.port, transport=udp),
    )


def _inside(address: str) -> str:
    return address[address.find("<") + 1 : address.rfind(">")]
