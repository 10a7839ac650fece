"""A fixed delay against jitter, laid out on the RTP timeline."""

from __future__ import annotations

from typing import Final

import numpy as np

from sip_node.rtp.g711 import Samples

FRAME: Final = 160  # samples in 20 ms at 8 kHz
DELAY: Final = 3 * FRAME
_CAPACITY: Final = 100 * FRAME
# Late by more than this after an underrun, or early by more, and the sender's clock has jumped: start afresh.
_JUMP: Final = 50 * FRAME
_DRIFT: Final = 4 * FRAME


class JitterBuffer:
    """Takes payloads of any length in any order, gives 160 samples per call; what is missing is silence.

    60 ms delay: a frame played is the one whose timestamp is three frames behind the newest of a steady stream. Keyed
    by timestamp, so a sender with 10, 30 or 40 ms packets, or one that pauses while silent, plays correctly.
    """

    def __init__(self) -> None:
        self._samples: Samples = np.zeros(_CAPACITY, dtype=np.int16)
        self._play: int | None = None  # RTP timestamp of the next sample to play
        self._newest = 0  # samples buffered ahead of _play, counting gaps
        self.late_packets = 0
        self.resyncs = 0

    @property
    def started(self) -> bool:
        return self._play is not None

    @property
    def depth(self) -> int:
        """Samples between the playing position and the newest received."""
        return self._newest

    def put(self, timestamp: int, samples: Samples) -> None:
        """Add one packet's samples. Packets that are too late to be played are counted and dropped."""
        if len(samples) == 0 or len(samples) > _JUMP:
            return
        if self._play is None:
            self._restart(timestamp)
        offset = _distance(timestamp, self._play or 0)
        if offset < -_JUMP or offset > _JUMP or (offset + len(samples) <= 0 and self._newest == 0):
            self._restart(timestamp)
            offset = DELAY
        if offset < 0:
            self.late_packets += 1
            samples = samples[-offset:]
            offset = 0
        if len(samples) == 0:
            return
        self._write(offset, samples)
        self._newest = max(self._newest, offset + len(samples))

    def get(self) -> Samples:
        """The next 160 samples of the timeline."""
        if self._play is None:
            return np.zeros(FRAME, dtype=np.int16)
        if self._newest > DELAY + _DRIFT:
            self._skip(FRAME)
        frame = self._samples[:FRAME].copy()
        self._skip(FRAME)
        return frame

    def _restart(self, timestamp: int) -> None:
        if self._play is not None:
            self.resyncs += 1
        self._samples[:] = 0
        self._newest = 0
        self._play = (timestamp - DELAY) % 2**32

    def _skip(self, count: int) -> None:
        self._samples[:-count] = self._samples[count:]
        self._samples[-count:] = 0
        self._newest = max(0, self._newest - count)
        self._play = ((self._play or 0) + count) % 2**32

    def _write(self, offset: int, samples: Samples) -> None:
        end = min(offset + len(samples), _CAPACITY)
        self._samples[offset:end] = samples[: end - offset]


def _distance(timestamp: int, reference: int) -> int:
    """`timestamp - reference` on the 32-bit circle, -2**31 to 2**31 - 1."""
    return (timestamp - reference + 2**31) % 2**32 - 2**31
