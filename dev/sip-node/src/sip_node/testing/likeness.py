"""How much of what was said was heard, where jitter buffers may have stretched and cut it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sip_node.testing.media import RATE, Samples

_Signal = npt.NDArray[np.float64]
_SEGMENT: Final = RATE // 10
_PIECE: Final = RATE // 100
_REACH: Final = 4 * _SEGMENT  # how far a segment may have moved against the one before
_HEARD: Final = 0.6  # a correlation; the best place for another sentence's segment has 0.5


@dataclass(frozen=True)
class Likeness:
    """Of the voiced 100 ms segments of what was said: the median of their correlation with what was heard, how many
    there are, how many were not heard (below 0.6), how much of those heard is silence, and by how much they lie nearer or
    further apart than they were said."""

    correlation: float
    segments: int
    lost: int
    missing_ms: int
    moved_ms: int


def likeness(said: Samples, heard: Samples) -> Likeness:
    """Compare at 8 kHz. Each segment is looked for within 400 ms of where its neighbour was found: a busy machine delays
    the rest of a sentence once and for all, which is no loss of speech. Aligned as a whole, 300 ms of it look like
    another sentence."""
    a, b = said.astype(np.float64), heard.astype(np.float64)
    loud = np.sqrt(np.mean(a**2)) / 2
    starts = [at for at in range(0, len(a) - _SEGMENT, _SEGMENT) if _rms(a[at : at + _SEGMENT]) >= loud]
    shift = _shift(a, b)
    first = max(range(len(starts)), key=lambda index: _best(a, b, starts[index], shift)[0])
    found = {first: _best(a, b, starts[first], shift)}
    for way in (range(first + 1, len(starts)), range(first - 1, -1, -1)):
        near = found[first][1]
        for index in way:
            found[index] = _best(a, b, starts[index], near)
            if found[index][0] >= _HEARD:
                near = found[index][1]
    moves = {starts[index]: move for index, (value, move) in found.items() if value >= _HEARD}
    moved = (max(moves.values()) - min(moves.values())) * 1000 // RATE if moves else 0
    missing = sum(_missing(a[at : at + _SEGMENT], b[at + move : at + move + _SEGMENT]) for at, move in moves.items())
    values = [value for value, _ in found.values()]
    return Likeness(float(np.median(values)), len(values), len(values) - len(moves), missing, moved)


def _missing(said: _Signal, heard: _Signal) -> int:
    """Milliseconds of `said`, in pieces of 10, of which nothing is in `heard`."""
    pieces = zip(said.reshape(-1, _PIECE), heard.reshape(-1, _PIECE), strict=True)
    return 10 * sum(_rms(theirs) < _rms(ours) / 10 for ours, theirs in pieces)


def _best(a: _Signal, b: _Signal, at: int, shift: int) -> tuple[float, int]:
    """The highest correlation of the segment at `at` within reach of `shift`, and the shift it is found at."""
    piece = a[at : at + _SEGMENT]
    low = max(0, at + shift - _REACH)
    window = b[low : at + shift + _SEGMENT + _REACH]
    if len(window) < _SEGMENT:
        return 0.0, shift
    energy = np.concatenate(([0.0], np.cumsum(window**2)))
    # What is a tenth as loud is silence, whatever its shape.
    norms = np.sqrt(np.maximum(energy[_SEGMENT:] - energy[:-_SEGMENT], np.dot(piece, piece) / 100))
    values = np.correlate(window, piece, "valid") / (norms * np.linalg.norm(piece))
    best = int(np.argmax(values))
    return float(values[best]), low + best - at


def _shift(a: _Signal, b: _Signal) -> int:
    """Where `a` as a whole fits best in `b`."""
    size = 1 << (len(a) + len(b)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    shift = int(np.argmax(cross))
    return shift if shift < size // 2 else shift - size


def _rms(signal: _Signal) -> float:
    return float(np.sqrt(np.mean(signal**2)))
