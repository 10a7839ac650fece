"""A telephone for measuring: SIP by hand, speech sent every 20 ms, everything received kept with the kernel's times.

Both directions are on one clock, the event loop's. A frame that is sent has its time from the moment it went out, one that is
received from the kernel; so the way itself (echo) and an agent's answer are measured alike.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
from fleet.process import FleetError
from fleet.speech import RATE, Samples
from fleet.voice_activity import END_OF_UTTERANCE, FRAME_SECONDS, SPEECH_RMS
from sip_node.testing.media import FRAME, CallerMedia, from_mulaw, mulaw
from sip_node.testing.uac import Address, Caller, SipSocket, sdp_offer

BLOCK = 40
"""Samples (5 ms) within which a first or last sound is placed."""


class NotAnswered(FleetError):
    """Nobody took the call; the message is the SIP answer."""


@dataclass
class Said:
    """Something the caller says. `first` and `last` are its first and last voiced sample, as an index."""

    samples: Samples
    first: int
    last: int
    sent: list[float] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, samples: Samples) -> Said:
        loud = loud_blocks(samples)
        if loud.size == 0:
            raise FleetError("nothing to be heard in what the caller shall say")
        return cls(samples, int(loud[0]) * BLOCK, (int(loud[-1]) + 1) * BLOCK)

    def at(self, sample: int) -> float:
        """When this sample went out."""
        frame = min(sample // FRAME, len(self.sent) - 1)
        return self.sent[frame] + (sample - frame * FRAME) / RATE

    @property
    def began(self) -> float:
        return self.at(self.first)

    @property
    def ended(self) -> float:
        return self.at(self.last)


def loud_blocks(samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Which blocks of 5 ms are voiced."""
    count = samples.size // BLOCK
    blocks = samples[: count * BLOCK].reshape(count, BLOCK).astype(np.float64)
    return np.flatnonzero(np.sqrt(np.mean(blocks**2, axis=1)) >= SPEECH_RMS)


class Media(CallerMedia):
    """The RTP of one call. Line noise goes out all the time, and what is to be said on top of it."""

    def __init__(self, noise: Samples | None = None) -> None:
        super().__init__()
        self._noise = noise if noise is not None else np.zeros(RATE, dtype=np.int16)
        self._saying: Said | None = None
        self._checked = 0
        self._tick = asyncio.Event()
        self.voice: list[tuple[float, float]] = []
        """When voiced sound was heard: (from, to) in blocks of 5 ms of each packet, on the loop's clock."""
        self.late: list[float] = []
        """How late each frame went out, in seconds: what this machine did to the caller."""

    @classmethod
    async def open(cls, noise: Samples | None = None) -> Media:
        return cls(noise)

    def start(self) -> None:
        """Sends from now on."""
        self._task = asyncio.create_task(self._send_all(), name="caller")

    def say(self, samples: Samples) -> Said:
        """Begins with the next frame; what was being said is cut off."""
        said = Said.of(samples)
        if self._saying is not None:
            self._saying.over.set()
        self._saying = said
        return said

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, at = loop.time(), 0
        noise = np.concatenate([self._noise, self._noise[:FRAME]]).astype(np.int32)
        while True:
            self._send(0, mulaw(self._frame(noise[at : at + FRAME], loop)), self._timestamp, False)
            self._timestamp += FRAME
            at = (at + FRAME) % (len(noise) - FRAME)
            self._look()
            deadline += 0.02
            wait = deadline - loop.time()
            self.late.append(max(0.0, -wait))
            await asyncio.sleep(max(0.0, wait))

    def _frame(self, noise: np.ndarray[tuple[int], np.dtype[np.int32]], loop: asyncio.AbstractEventLoop) -> Samples:
        said = self._saying
        if said is None:
            return noise.astype(np.int16)
        at = len(said.sent) * FRAME
        piece = said.samples[at : at + FRAME]
        said.sent.append(loop.time())
        mixed = noise.copy()
        mixed[: len(piece)] += piece
        if at + FRAME >= len(said.samples):
            self._saying = None
            said.over.set()
        return np.clip(mixed, -32767, 32767).astype(np.int16)

    def _look(self) -> None:
        """Notes what has been voiced since the last look, and wakes who waits."""
        for packet in self.packets[self._checked :]:
            if packet.payload_type == 0:
                loud = loud_blocks(from_mulaw(packet.payload))
                if loud.size:
                    start = packet.at + int(loud[0]) * BLOCK / RATE
                    self.voice.append((start, packet.at + (int(loud[-1]) + 1) * BLOCK / RATE))
        self._checked = len(self.packets)
        tick, self._tick = self._tick, asyncio.Event()
        tick.set()

    async def until(self, found: Callable[[], float | None], timeout: float, complaint: str) -> float:
        """Looks after every frame. FleetError with the complaint when it isn't found in time."""
        try:
            async with asyncio.timeout(timeout):
                while (value := found()) is None:
                    await self._tick.wait()
                return value
        except TimeoutError:
            raise FleetError(complaint) from None

    def onset(self, since: float) -> float | None:
        """When somebody began to speak at or after `since`; two voiced packets out of three, so that a click is none."""
        after = [start for start, _ in self.voice if start >= since]
        for one, other in itertools.pairwise(after):
            if other - one <= 2.5 * FRAME_SECONDS:
                return one
        return None

    def last_voice(self, until: float = float("inf")) -> float | None:
        """When the last voiced sound before `until` ended."""
        ends = [end for start, end in self.voice if start < until]
        return ends[-1] if ends else None

    async def until_speech(self, since: float, timeout: float) -> float:
        return await self.until(lambda: self.onset(since), timeout, f"no speech for {timeout:g} s")

    async def until_silence(self, since: float, timeout: float, gap: float = END_OF_UTTERANCE) -> float:
        """When the speech at or after `since` ended, known `gap` seconds later."""
        clock = asyncio.get_running_loop().time

        def found() -> float | None:
            last = max(self.last_voice() or since, since)
            return last if clock() - last >= gap else None

        return await self.until(found, timeout, f"still speech after {timeout:g} s")


@dataclass
class PhoneCall:
    """A call that was answered. Times are the loop's."""

    media: Media
    caller: Caller
    invited: float
    ringing: float | None = None
    answered: float = 0.0

    async def greeting(self, timeout: float = 20.0) -> float:
        """When the agent's first sound came."""
        return await self.media.until_speech(self.invited, timeout)


@asynccontextmanager
async def call(
    server: Address, number: str, noise: Samples | None = None, *, timeout: float = 30.0
) -> AsyncIterator[PhoneCall]:
    """Calls, talks, hangs up. NotAnswered with the final status, or when there is none in time."""
    socket = await SipSocket.open()
    media = await Media.open(noise)
    caller = Caller(socket, server, number)
    try:
        made = PhoneCall(media, caller, asyncio.get_running_loop().time())
        caller.invite(sdp_offer("127.0.0.1", media.port))
        try:
            response = await caller.answered(timeout)
        except TimeoutError:
            caller.cancel()
            with suppress(TimeoutError):
                await caller.answered(2.0)
            raise NotAnswered(f"no answer within {timeout:g} s") from None
        made.ringing = next((item.at for item in caller.heard if item.status == 180), None)
        if response.status != 200:
            raise NotAnswered(response.start)
        made.answered = response.at
        media.send_to(response.body)
        media.start()
        try:
            yield made
        finally:
            if caller.connected:
                with suppress(TimeoutError):
                    await caller.hang_up()
    finally:
        media.close()
        socket.close()
