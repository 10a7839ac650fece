"""A room participant that gives the caller's audio back at once: the way itself, without anybody who thinks.

    python -m bench.voice.echo ROOM READY_FILE

Environment: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from livekit import api, rtc
from livekit.agents import utils

RATE = 48_000


class Echo:
    """One track out; whatever audio comes in is put onto it."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.gone = asyncio.Event()
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
        self._listeners: dict[str, asyncio.Task[None]] = {}

    async def join(self, room: str) -> None:
        grants = api.VideoGrants(room_join=True, room=room, agent=True)
        access = api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
        token = access.with_identity("echo").with_kind("agent").with_grants(grants).to_jwt()
        self.room.on("track_subscribed", self._on_subscribed)
        self.room.on("track_unsubscribed", self._on_unsubscribed)
        self.room.on("disconnected", lambda _: self.gone.set())
        await self.room.connect(os.environ["LIVEKIT_URL"], token)
        track = rtc.LocalAudioTrack.create_audio_track("echo", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)

    async def leave(self) -> None:
        await asyncio.gather(*(utils.aio.cancel_and_wait(task) for task in self._listeners.values()))
        await self.room.disconnect()
        await self._source.aclose()

    def _on_subscribed(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._listeners[publication.sid] = asyncio.create_task(self._return(track))

    def _on_unsubscribed(self, _: rtc.Track, publication: rtc.RemoteTrackPublication, *__: object) -> None:
        listener = self._listeners.pop(publication.sid, None)
        if listener is not None:
            listener.cancel()

    async def _return(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                await self._source.capture_frame(event.frame)
        finally:
            await stream.aclose()


async def main(room: str, ready: Path) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    ended = asyncio.create_task(over.wait())
    while not over.is_set():
        echo = Echo()
        await echo.join(room)
        await asyncio.to_thread(ready.touch)
        # The orchestrator deletes a room whose caller has left: be there again for the next one.
        gone = asyncio.create_task(echo.gone.wait())
        await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        await echo.leave()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
