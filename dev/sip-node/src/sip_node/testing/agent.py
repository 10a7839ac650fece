"""A room participant that plays the agent: speaks a tone, hears the caller, notes what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import numpy.typing as npt
from livekit import api, rtc

from sip_node.testing.media import resample, tone

Samples = npt.NDArray[np.int16]
RATE = 48000


class RoomAgent:
    """Joins a room by its name. `events` are what was seen, in order: ("joined", identity), ("status", value),
    ("track", identity), ("digit", key), ("left", identity), ("untracked", identity). `changes` are the attributes that
    changed, one dictionary an update."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.events: list[tuple[str, str]] = []
        self.attributes: dict[str, str] = {}
        self.attributes_at_join: dict[str, str] = {}
        self.changes: list[dict[str, str]] = []
        self.caller_kind: int | None = None
        self.caller_track: tuple[str, int] | None = None
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=200)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, asyncio.Task[None]] = {}
        self._chunks: list[Samples] = [np.zeros(0, dtype=np.int16)]
        self._changed = asyncio.Event()

    @property
    def statuses(self) -> list[str]:
        """Every sip.callStatus told, in order."""
        return [value for kind, value in self.events if kind == "status"]

    @property
    def heard(self) -> Samples:
        """All that was heard so far, at 8 kHz."""
        # Joined when somebody asks: joining at every frame takes longer with every second heard.
        if len(self._chunks) > 1:
            self._chunks = [np.concatenate(self._chunks)]
        return self._chunks[0]

    async def join(self, url: str, key: str, secret: str, room: str, identity: str = "agent") -> None:
        grants = api.VideoGrants(room_join=True, room=room, agent=True)
        token = api.AccessToken(key, secret).with_identity(identity).with_kind("agent").with_grants(grants).to_jwt()
        self.room.on("participant_connected", self._on_joined)
        self.room.on("participant_disconnected", lambda who: self._note("left", who.identity))
        self.room.on("participant_attributes_changed", self._on_attributes)
        self.room.on("track_published", self._on_published)
        self.room.on("track_unpublished", lambda _, who: self._note("untracked", who.identity))
        self.room.on("track_subscribed", self._on_subscribed)
        self.room.on("track_unsubscribed", self._on_unsubscribed)
        self.room.on("sip_dtmf_received", lambda event: self._note("digit", event.digit))
        await self.room.connect(url, token)
        for participant in self.room.remote_participants.values():
            self._on_joined(participant)

    async def speak(self, hertz: float) -> None:
        """Publish a track and play a tone on it until `leave`."""
        track = rtc.LocalAudioTrack.create_audio_track("agent", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._spawn(self._play(hertz))

    async def say(self, samples: Samples, rate: int) -> None:
        """Publish a track and say these samples once, then be silent."""
        track = rtc.LocalAudioTrack.create_audio_track("agent", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._spawn(self._say(resample(samples, rate, RATE)))

    async def leave(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        await self._source.aclose()

    async def wait_for(self, wanted: Callable[[RoomAgent], bool], timeout: float = 10.0) -> None:
        """Until `wanted(self)`. Raises TimeoutError naming the events seen."""
        try:
            async with asyncio.timeout(timeout):
                while not wanted(self):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not seen in {timeout} s; seen: {self.events}, heard {len(self.heard)}") from None

    async def see(self, kind: str, value: str = "", timeout: float = 10.0) -> None:
        """Until the event (kind, value) was seen; any value when empty."""
        await self.wait_for(
            lambda me: any(event[0] == kind and value in ("", event[1]) for event in me.events), timeout
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _note(self, kind: str, value: str) -> None:
        self.events.append((kind, value))
        self._changed.set()

    def _on_joined(self, participant: rtc.RemoteParticipant) -> None:
        self.caller_kind = participant.kind
        self.attributes_at_join = dict(participant.attributes)
        self.attributes = dict(participant.attributes)
        self._note("joined", participant.identity)
        if status := participant.attributes.get("sip.callStatus"):
            self._note("status", status)

    def _on_attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        self.attributes = dict(participant.attributes)
        self.changes.append(dict(changed))
        if status := changed.get("sip.callStatus"):
            self._note("status", status)

    def _on_published(self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        self.caller_track = (publication.name, publication.source)
        self._note("track", participant.identity)

    def _on_subscribed(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._listeners[publication.sid] = self._spawn(self._listen(track))

    def _on_unsubscribed(self, _: rtc.Track, publication: rtc.RemoteTrackPublication, *__: object) -> None:
        # The SDK doesn't end the stream of a track that is gone: it goes on with silence while anything else is played.
        listener = self._listeners.pop(publication.sid, None)
        if listener is not None:
            listener.cancel()

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=8000, num_channels=1, frame_size_ms=20)
        try:
            async for event in stream:
                self._chunks.append(np.frombuffer(event.frame.data, dtype=np.int16))
                self._changed.set()
        finally:
            await stream.aclose()

    async def _say(self, samples: Samples) -> None:
        await self.see("status", "active")
        size = RATE // 50
        for start in range(0, len(samples) - size, size):
            frame = rtc.AudioFrame(samples[start : start + size].tobytes(), RATE, 1, size)
            await self._source.capture_frame(frame)

    async def _play(self, hertz: float) -> None:
        wave, size = tone(hertz, 1.0, RATE), RATE // 50
        position = 0
        while True:
            samples = wave[position : position + size]
            await self._source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples)))
            position = (position + size) % len(wave)
