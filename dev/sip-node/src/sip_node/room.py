"""The caller as a participant of kind SIP in a LiveKit room."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import structlog
from livekit import api, rtc

from sip_node.attributes import CALL_STATUS
from sip_node.dispatch import Dispatch
from sip_node.rtp.g711 import FRAME, Samples
from sip_node.rtp.packet import DtmfEvent
from sip_node.rtp.stream import Mixer

log = structlog.get_logger()

RATE: Final = 8000
_CAPTURED: Final = 80  # samples in 10 ms: what a source without a queue takes at a time
_MOST_WAITING: Final = 100  # of those: a second
_JOIN_S: Final = 15.0  # a server that takes the connection and says nothing must not keep a caller ringing for ever
_VISIBLE_S: Final = 3.0
_POLL_S: Final = 0.01
_READER: Final = "room-read"


class RoomError(Exception):
    """The room could not be joined or the track not published."""


@dataclass(frozen=True)
class Credentials:
    """Where the server is and how a join token is signed."""

    ws_url: str
    api_key: str
    api_secret: str


def join_token(credentials: Credentials, dispatch: Dispatch, attributes: Mapping[str, str]) -> str:
    """The token LiveKit SIP would sign: kind SIP, may change its own metadata, carries the rule's `room_config`, which is
    what dispatches the agent."""
    grants = api.VideoGrants(
        room_join=True,
        room=dispatch.room_name,
        can_publish=True,
        can_subscribe=True,
        can_publish_data=True,
        can_update_own_metadata=True,
    )
    token = (
        api.AccessToken(credentials.api_key, credentials.api_secret)
        .with_identity(dispatch.identity)
        .with_name(dispatch.name)
        .with_metadata(dispatch.metadata)
        .with_attributes(dict(attributes))
        .with_kind("sip")
        .with_grants(grants)
        .with_ttl(timedelta(hours=24))
    )
    if dispatch.room_preset:
        token = token.with_room_preset(dispatch.room_preset)
    if dispatch.room_config is not None:
        token = token.with_room_config(dispatch.room_config)
    return token.to_jwt()


class RoomLeg:
    """One caller's place in a room.

    `answerable` is set when somebody publishes audio or another SIP caller is there; `closed` when the room went away
    or this participant was removed. `on_digits` gets keys other participants send, to be played to the caller.
    """

    def __init__(self, mixer: Mixer, on_digits: Callable[[str], None]) -> None:
        self.answerable = asyncio.Event()
        self.closed = asyncio.Event()
        self.close_reason = 0
        self._mixer, self._on_digits = mixer, on_digits
        self._room = rtc.Room()
        # Without a queue what comes late goes out late, at once, and the listeners' jitter buffers make up for it. With
        # one the source plays silence meanwhile, and the delay stays.
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=0)
        self._pieces: asyncio.Queue[Samples] = asyncio.Queue(_MOST_WAITING)
        self._rest: Samples = np.zeros(0, dtype=np.int16)
        self._tasks: set[asyncio.Task[None]] = set()
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._subscribing = False
        self._leaving = False
        self._attributes: dict[str, str] = {}

    @property
    def attributes(self) -> dict[str, str]:
        """The participant's attributes as last set."""
        return dict(self._attributes)

    @property
    def tracks_read(self) -> int:
        """Audio tracks of others that are being read now."""
        return sum(task.get_name() == _READER for task in self._tasks)

    @property
    def name(self) -> str:
        return self._room.name

    @property
    def participant_sid(self) -> str:
        """This participant's SID, after `join`."""
        return self._room.local_participant.sid

    async def sid(self) -> str:
        """The room's SID; "" when it never came."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._room.sid, 1.0)
        return ""

    async def join(self, url: str, token: str, attributes: Mapping[str, str]) -> None:
        """Join without subscribing to anything. Raises RoomError."""
        self._attributes = dict(attributes)
        self._room.on("disconnected", self._on_disconnected)
        self._room.on("reconnected", self._on_reconnected)
        self._room.on("participant_connected", self._on_participant)
        self._room.on("track_published", self._on_track_published)
        self._room.on("track_subscribed", self._on_track_subscribed)
        self._room.on("track_unsubscribed", self._on_track_unsubscribed)
        self._room.on("sip_dtmf_received", self._on_dtmf)
        try:
            async with asyncio.timeout(_JOIN_S):
                await self._room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        except Exception as error:
            raise RoomError(f"cannot join the room: {type(error).__name__}") from error

    def register_rpc(self, methods: Mapping[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]) -> None:
        """Participant RPC methods with JSON payloads."""
        for method, handler in methods.items():

            async def invoke(data: rtc.RpcInvocationData, handler: Any = handler) -> str:
                payload = json.loads(data.payload or "{}")
                return json.dumps(await handler(payload if isinstance(payload, dict) else {}))

            self._room.local_participant.register_rpc_method(method, invoke)

    async def publish(self, name: str) -> None:
        """Publish the caller's audio as a microphone track called `name`. Raises RoomError."""
        track = rtc.LocalAudioTrack.create_audio_track(name, self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False)
        try:
            async with asyncio.timeout(_JOIN_S):
                await self._room.local_participant.publish_track(track, options)
        except Exception as error:
            raise RoomError(f"cannot publish: {type(error).__name__}") from error
        self._spawn(self._pump(), "room-pump")

    async def visible(self) -> None:
        """Returns when the room shows this participant to the others (at most 3 s).

        Before that an agent that joins the conversation late would never see sip.callStatus "ringing". The SDK has no
        event for it, so its state is polled.
        """
        active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_VISIBLE_S):
                while self._room.isconnected() and self._room.local_participant.state != active:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)

    def subscribe(self) -> None:
        """Subscribe to every audio track, those there and those to come."""
        self._subscribing = True
        for participant in tuple(self._room.remote_participants.values()):
            self._on_participant(participant)
            for publication in tuple(participant.track_publications.values()):
                self._on_track_published(publication, participant)

    def push(self, samples: Samples) -> None:
        """Any number of samples of the caller's audio. Behind by more than a second, the room loses the oldest."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) - len(samples) % _CAPTURED
        self._rest = samples[whole:]
        for start in range(0, whole, _CAPTURED):
            if self._pieces.full():
                self._pieces.get_nowait()
            self._pieces.put_nowait(samples[start : start + _CAPTURED])

    def send_digit(self, event: DtmfEvent) -> None:
        """A key the caller pressed, to everybody in the room."""
        if self._room.isconnected():
            self._spawn(self._publish_digit(event), "room-dtmf")

    async def set_status(self, status: str) -> None:
        """Set sip.callStatus; a room that is gone is no error."""
        await self.set_attributes({CALL_STATUS: status})

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Set some attributes in one step; a room that is gone is no error."""
        self._attributes.update(attributes)
        if not attributes or not self._room.isconnected():
            return
        try:
            await asyncio.wait_for(self._room.local_participant.set_attributes(dict(attributes)), 2.0)
        except Exception as error:
            log.debug("attribute not set", error=type(error).__name__)

    async def leave(self, reason: int = rtc.DisconnectReason.CLIENT_INITIATED) -> None:
        """Leave the room and free everything; safe to call at any time, more than once. `reason` is what others see."""
        self._leaving = True
        try:
            await asyncio.wait_for(self._room.disconnect(reason=reason), 5.0)  # type: ignore[arg-type]
        except Exception as error:
            log.debug("disconnect failed", error=type(error).__name__)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._source.aclose()

    def _spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _on_disconnected(self, reason: int) -> None:
        self.close_reason = int(reason)
        if not self._leaving:
            self.closed.set()

    def _on_reconnected(self) -> None:
        # Tracks that were there when we joined anew are announced before the new connection takes requests: the SDK drops
        # what was asked for in between, without a word.
        if self._subscribing:
            self.subscribe()

    def _on_participant(self, participant: rtc.RemoteParticipant) -> None:
        # Two SIP callers in one room would each wait for the other's track for ever.
        if self._subscribing and participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
            self.answerable.set()

    def _on_track_published(self, publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant) -> None:
        if self._subscribing and publication.kind == rtc.TrackKind.KIND_AUDIO:
            publication.set_subscribed(True)
            self.answerable.set()

    def _on_track_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant
    ) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._readers[publication.sid] = self._spawn(self._read(track, publication.sid), _READER)

    def _on_track_unsubscribed(
        self, _: rtc.Track, publication: rtc.RemoteTrackPublication, __: rtc.RemoteParticipant
    ) -> None:
        # The SDK doesn't end the stream of a track that is gone: it goes on with silence while anything else is played.
        reader = self._readers.pop(publication.sid, None)
        if reader is not None:
            reader.cancel()

    def _on_dtmf(self, dtmf: rtc.SipDTMF) -> None:
        self._on_digits(dtmf.digit)

    async def _publish_digit(self, event: DtmfEvent) -> None:
        try:
            await self._room.local_participant.publish_dtmf(code=event.code, digit=event.digit)
        except Exception as error:
            log.debug("key not sent", error=type(error).__name__)

    async def _read(self, track: rtc.Track, sid: str) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=20, capacity=25)
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, dtype=np.int16)
                if len(samples) == FRAME:
                    self._mixer.add(sid, samples)
        finally:
            self._mixer.remove(sid)
            await stream.aclose()

    async def _pump(self) -> None:
        while True:
            samples = await self._pieces.get()
            frame = rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples))
            try:
                await self._source.capture_frame(frame)
            except Exception as error:
                log.debug("frame not captured", error=type(error).__name__)
