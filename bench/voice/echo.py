"""A room participant that gives the caller's audio back at once: the way itself, without anybody who thinks."""

from __future__ import annotations

import asyncio

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext, utils

RATE = 48_000


async def give_back(ctx: JobContext) -> None:
    """One track out; whatever audio comes in is put onto it, until the room is gone."""
    source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
    heard: asyncio.Queue[rtc.Track] = asyncio.Queue()
    gone = asyncio.Event()
    ctx.room.on("track_subscribed", lambda track, *_: heard.put_nowait(track))
    ctx.room.on("disconnected", lambda _: gone.set())
    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    track = rtc.LocalAudioTrack.create_audio_track("echo", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await ctx.room.local_participant.publish_track(track, options)
    returning = asyncio.create_task(_return(heard, source), name="echo")
    await gone.wait()
    await utils.aio.cancel_and_wait(returning)
    await source.aclose()


async def _return(heard: asyncio.Queue[rtc.Track], source: rtc.AudioSource) -> None:
    stream = rtc.AudioStream(await heard.get(), sample_rate=RATE, num_channels=1, frame_size_ms=10)
    try:
        async for event in stream:
            await source.capture_frame(event.frame)
    finally:
        await stream.aclose()
