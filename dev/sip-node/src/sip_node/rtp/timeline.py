"""The caller's packets on their RTP timeline, passed on as they come."""

from __future__ import annotations

from typing import Final

import numpy as np

from sip_node.rtp.g711 import FRAME, Samples

# Nothing for so long beyond the last packet's own length is a pause: the room then gets silence in real time.
PATIENCE: Final = 3 * FRAME
# A timestamp that is off by more than this belongs to a new timeline.
_JUMP: Final = 50 * FRAME
_NOTHING: Final[Samples] = np.zeros(0, dtype=np.int16)
_SILENCE: Final[Samples] = np.zeros(FRAME, dtype=np.int16)


class Timeline:
    """Payloads of any length in, samples for the room out: at once, in the order of their timestamps.

    There is no jitter buffer here, as there is none in livekit-sip unless it is told so: everybody in the room has one
    (WebRTC's NetEQ). One before it, played at a fixed pace, makes silence of whatever is late, and of every lateness a
    delay that stays. What was lost, or wasn't sent in a pause, becomes silence; what comes after its successor is
    dropped.
    """

    def __init__(self) -> None:
        self._next: int | None = None  # RTP timestamp of the next sample to pass on
        self._length = 0  # samples in the last packet
        self._waited = 0  # samples' time since the last packet
        self._filled = 0  # silence passed on since then

    def put(self, timestamp: int, samples: Samples) -> Samples:
        """One packet's samples; what there is to pass on now, which may be nothing."""
        if len(samples) > _JUMP:
            return _NOTHING
        gap = 0 if self._next is None else _distance(timestamp, self._next)
        if abs(gap) > _JUMP:
            gap = 0
        if gap + len(samples) <= 0:
            return _NOTHING
        missing = max(0, gap - self._filled)
        self._next = timestamp + len(samples)  # beyond the circle too: only distances to it are taken
        self._length, self._waited, self._filled = len(samples), 0, 0
        return np.concatenate((np.zeros(missing, dtype=np.int16), samples[max(0, -gap) :]))

    def tick(self) -> Samples:
        """20 ms went by; silence once the sender pauses."""
        if self._next is None:
            return _NOTHING
        self._waited += FRAME
        if self._waited <= self._length + PATIENCE:
            return _NOTHING
        self._filled += FRAME
        return _SILENCE


def _distance(timestamp: int, reference: int) -> int:
    """`timestamp - reference` on the 32-bit circle, -2**31 to 2**31 - 1."""
    return (timestamp - reference + 2**31) % 2**32 - 2**31
