"""Follows a sound file while baresip writes it, so that both directions of a call can be heard while it lasts.

baresip's `sndfile` filter appends every 20 ms frame at the moment it is sent or received; a frame's time is the moment
we saw it arrive, good to one look at the file (10 ms). No packets means no frames: silence is judged by the clock.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from contextlib import suppress
from pathlib import Path

import numpy as np

from fleet.process import FleetError
from fleet.speech import Samples
from fleet.voice_activity import END_OF_UTTERANCE, FRAME, Utterance, utterances, voiced

LOOK_EVERY = 0.01


class Track:
    """One direction of a call: frames with their times on the event loop's clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.times: list[float] = []
        self.voiced: list[bool] = []
        self._frames: list[Samples] = []
        self._rest = b""
        self._looked: asyncio.Event = asyncio.Event()
        self._ended = ""

    def feed(self, data: bytes, now: float) -> None:
        """Takes more of the file (16-bit samples)."""
        data = self._rest + data
        whole = len(data) // (2 * FRAME) * 2 * FRAME
        self._rest = data[whole:]
        for start in range(0, whole, 2 * FRAME):
            frame = np.frombuffer(data, dtype="<i2", count=FRAME, offset=start).astype(np.int16)
            self._frames.append(frame)
            self.times.append(now)
            self.voiced.append(voiced(frame))

    def pulse(self) -> None:
        """Wakes those who wait: time has passed, perhaps with new frames."""
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()

    def end(self, reason: str) -> None:
        """The call is over: whoever still waits learns it."""
        self._ended = reason or "the call ended"
        self.pulse()

    def samples(self, since: float, until: float = float("inf")) -> Samples:
        """What passed in this stretch of time."""
        chosen = self._frames[bisect_left(self.times, since) : bisect_right(self.times, until)]
        return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int16)

    def utterances(self, since: float = 0.0, gap: float = END_OF_UTTERANCE) -> list[Utterance]:
        """Stretches of speech from `since` on; the last may still go on."""
        first = bisect_left(self.times, since)
        return utterances(self.times[first:], self.voiced[first:], gap)

    def last_voice(self) -> float | None:
        """When the latest voiced frame arrived."""
        for time, flag in zip(reversed(self.times), reversed(self.voiced), strict=True):
            if flag:
                return time
        return None

    async def until_speech(self, since: float, timeout: float) -> float:
        """Waits until somebody speaks at or after `since`; returns when the speech began.

        TimeoutError when nobody does, FleetError when the call ends first.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        while True:
            found = self.utterances(since)
            if found:
                return found[0].start
            await self._next_look(deadline, clock(), f"no speech {self.name} for {timeout:g} s")

    async def until_silence(self, since: float, timeout: float, gap: float = END_OF_UTTERANCE) -> float:
        """Waits until nobody has spoken for `gap` seconds at or after `since`; returns when the last speech ended.

        The end of the call is silence too.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        while True:
            last = max(self.last_voice() or since, since)
            if clock() - last >= gap or self._ended:
                return last
            await self._next_look(deadline, clock(), f"still speech {self.name} after {timeout:g} s")

    async def _next_look(self, deadline: float, now: float, complaint: str) -> None:
        if self._ended:
            raise FleetError(self._ended)
        if now >= deadline:
            raise TimeoutError(complaint)
        looked = self._looked
        with suppress(TimeoutError):
            await asyncio.wait_for(looked.wait(), deadline - now)


class Tap:
    """Reads a growing WAV into a track. `poll` is called every few milliseconds."""

    def __init__(self, folder: Path, ending: str, track: Track) -> None:
        self._folder, self._ending, self._track = folder, ending, track
        self._path: Path | None = None
        self._offset = 0

    @property
    def path(self) -> Path | None:
        """The file, once baresip has made it."""
        return self._path

    def poll(self, now: float) -> None:
        if self._path is None:
            self._path = next(iter(self._folder.glob(f"*{self._ending}.wav")), None)
        if self._path is not None:
            with self._path.open("rb") as stream:
                if self._offset == 0:
                    self._offset = data_offset(stream.read(512))
                if self._offset:
                    stream.seek(self._offset)
                    data = stream.read()
                    self._offset += len(data)
                    self._track.feed(data, now)
        self._track.pulse()


def data_offset(head: bytes) -> int:
    """Where the samples begin in a WAV; 0 while its header isn't complete."""
    position = head.find(b"data")
    return position + 8 if position > 0 and len(head) >= position + 8 else 0
