"""Both directions of a call on one clock: as one stereo recording, and as the outline of a waveform."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sip_node.rtp.g711 import ULAW

from fleet.speech import RATE, Samples
from fleet.tap import Track
from fleet.voice_activity import FRAME, FRAME_SECONDS

GAP = 0.06
"""Seconds without a packet that are heard as silence; less is jitter."""
MULAW = 7
FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Sound:
    """`caller` and `agent`: what the caller said and heard, int16 at 8 kHz, equally long, from `began` on (the caller's
    clock)."""

    caller: Samples
    agent: Samples
    began: float

    @property
    def seconds(self) -> float:
        return self.caller.size / RATE

    def wav(self) -> bytes:
        """Stereo, the caller left. In mu-law, as it came over the line: half as large as 16 bits, and nothing is lost."""
        data = ULAW.encode(np.stack([self.caller, self.agent], axis=1).reshape(-1))
        data += b"\0" * (len(data) % 2)
        form = struct.pack("<HHIIHHH", MULAW, 2, RATE, RATE * 2, 2, 8, 0)
        fact = struct.pack("<I", self.caller.size)
        chunks = b"".join(
            name + struct.pack("<I", len(body)) + body
            for name, body in ((b"fmt ", form), (b"fact", fact), (b"data", data))
        )
        return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks

    def data_uri(self) -> str:
        return "data:audio/wav;base64," + base64.b64encode(self.wav()).decode()


def sound_of(said: Track, heard: Track) -> Sound:
    """Puts both tracks on one clock; empty when nothing passed at all."""
    starts = [arrivals(track)[0] for track in (said, heard) if track.times]
    began = min(starts, default=0.0)
    sides = [laid_out(track, began) for track in (said, heard)]
    length = max(side.size for side in sides)
    caller, agent = (np.pad(side, (0, length - side.size)) for side in sides)
    return Sound(caller, agent, began)


def arrivals(track: Track) -> NDArray[np.float64]:
    """When each frame's first sample passed.

    A late look at the file finds several frames at once, so a frame passed at the latest one frame before the next.
    """
    steps = np.arange(len(track.times)) * FRAME_SECONDS
    latest = np.minimum.accumulate((np.asarray(track.times) - steps)[::-1])[::-1]
    times: NDArray[np.float64] = latest + steps
    return times


def laid_out(track: Track, began: float) -> Samples:
    """The track's samples from `began` on, with silence where no packets came."""
    if not track.times:
        return np.zeros(0, dtype=np.int16)
    frames = track.samples(-np.inf).reshape(-1, FRAME)
    pieces: list[Samples] = []
    position = 0
    for frame, time in zip(frames, arrivals(track), strict=True):
        due = round((time - began) * RATE)
        if due - position > GAP * RATE:
            pieces.append(np.zeros(due - position, dtype=np.int16))
            position = due
        pieces.append(frame)
        position += FRAME
    return np.concatenate(pieces)


def outline(samples: Samples, count: int) -> list[float]:
    """The loudness (0 to 1, in the ear's measure rather than the wire's) of `count` equal stretches."""
    if samples.size == 0:
        return [0.0] * count
    edges = np.linspace(0, samples.size, count + 1).astype(int)
    peaks = [np.abs(samples[a : max(b, a + 1)].astype(np.int32)).max() for a, b in pairwise(edges)]
    return [float(np.sqrt(peak / FULL_SCALE)) for peak in peaks]
