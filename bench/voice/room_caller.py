"""A caller without SIP: a participant of a room as the SIP bridge would make it, for more calls than the bridge takes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fleet.process import FleetError
from fleet.speech import RATE, Samples
from livekit import api, rtc
from livekit.agents import utils
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from sip_node.testing.media import FRAME
from switchboard.sip import ACTIVE, CALL_STATUS, TRUNK

from bench.peer import AGENT_NAME as PEER
from bench.voice.bed import OURS, Bed
from bench.voice.phone import Said, loud_blocks

OUR_AGENT = "receptionist"
PLATFORM = "platform"
AGENT_WITHIN_S = 20.0


class RoomCaller:
    """Talks in a room. Times are the loop's, those of what is heard when it reached this process."""

    def __init__(self, noise: Samples) -> None:
        self.room = rtc.Room()
        self.heard = asyncio.Event()
        self.voice: list[float] = []
        """When voiced frames came."""
        self._noise = noise
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=60)
        self._saying: Said | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, bed: Bed, side: str) -> None:
        name = f"bench-room-{secrets.token_hex(6)}"
        dispatch = RoomAgentDispatch(agent_name=OUR_AGENT if side == OURS else PEER, metadata=side)
        grants = api.VideoGrants(room_join=True, room=name)
        token = (
            api.AccessToken(bed.layout.livekit.api_key, bed.layout.livekit.api_secret)
            .with_identity(f"sip_{name}")
            .with_kind("sip")
            .with_grants(grants)
            .with_attributes(
                {
                    CALL_STATUS: ACTIVE,
                    TRUNK: PLATFORM,
                    "sip.callID": name,
                    "sip.trunkPhoneNumber": bed.numbers[side],
                    "sip.phoneNumber": "15557777",
                }
            )
            .with_room_config(RoomConfiguration(agents=[dispatch]))
        )
        self.room.on("track_subscribed", self._on_subscribed)
        await self.room.connect(bed.layout.livekit.url, token.to_jwt())
        track = rtc.LocalAudioTrack.create_audio_track("caller", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False)
        await self.room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._send(), name="room caller"))

    def say(self, samples: Samples) -> Said:
        self._saying = Said.of(samples)
        return self._saying

    async def leave(self) -> None:
        await utils.aio.cancel_and_wait(*self._tasks)
        await self.room.disconnect()
        await self._source.aclose()

    async def _send(self) -> None:
        """At the pace of the source's queue, which is real time."""
        loop = asyncio.get_running_loop()
        noise = np.concatenate([self._noise, self._noise[:FRAME]])
        at = 0
        while True:
            frame = noise[at : at + FRAME].copy()
            said = self._saying
            if said is not None:
                start = len(said.sent) * FRAME
                piece = said.samples[start : start + FRAME]
                frame[: len(piece)] += piece
                said.sent.append(loop.time())
                if start + FRAME >= len(said.samples):
                    self._saying = None
                    said.over.set()
            at = (at + FRAME) % (len(noise) - FRAME)
            await self._source.capture_frame(rtc.AudioFrame(frame.tobytes(), RATE, 1, FRAME))

    def _on_subscribed(self, track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._tasks.append(asyncio.create_task(self._listen(track), name="room ear"))

    async def _listen(self, track: rtc.Track) -> None:
        loop = asyncio.get_running_loop()
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=20)
        try:
            async for event in stream:
                if loud_blocks(np.frombuffer(event.frame.data, dtype=np.int16)).size:
                    self.voice.append(loop.time())
                    self.heard.set()
        finally:
            await stream.aclose()

    async def until_speech(self, since: float, timeout: float) -> float:
        """When the first voiced frame at or after `since` came. FleetError without one."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if self.voice and self.voice[-1] >= since:
                        return next(one for one in self.voice if one >= since)
                    self.heard.clear()
                    await self.heard.wait()
        except TimeoutError:
            raise FleetError(f"no speech for {timeout:g} s") from None

    async def until_silence(self, gap: float) -> None:
        clock = asyncio.get_running_loop().time
        while (left := (self.voice[-1] if self.voice else 0.0) + gap - clock()) > 0:  # noqa: ASYNC110 - time must pass
            await asyncio.sleep(left)


@asynccontextmanager
async def room_call(bed: Bed, side: str, noise: Samples) -> AsyncIterator[RoomCaller]:
    """A call in which the agent has spoken."""
    caller = RoomCaller(noise)
    try:
        await caller.join(bed, side)
        await caller.until_speech(0.0, AGENT_WITHIN_S)
        yield caller
    finally:
        await caller.leave()
