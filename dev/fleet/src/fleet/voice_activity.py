"""Who speaks when, by energy, in 20 ms frames.

The offline voices and the line have no background noise, so a fixed level tells speech from silence. espeak-ng pauses up
to 410 ms inside an utterance: only 500 ms of silence end one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fleet.speech import RATE, Samples

FRAME = 160
FRAME_SECONDS = FRAME / RATE
END_OF_UTTERANCE = 0.5
SPEECH_RMS = 180.0
"""About -45 dB below full scale: under the quietest vowels heard through Opus and mu-law, above both codecs' residue."""
MIN_VOICED = 3
"""A click of one or two frames is no speech."""


@dataclass(frozen=True)
class Utterance:
    """A stretch of speech in seconds on the caller's clock; `end` is that of its last voiced frame."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def voiced(frame: Samples) -> bool:
    """Whether one frame is loud enough to be speech."""
    if frame.size == 0:
        return False
    return bool(np.sqrt(np.mean(frame.astype(np.float64) ** 2)) >= SPEECH_RMS)


def utterances(times: list[float], flags: list[bool], gap: float = END_OF_UTTERANCE) -> list[Utterance]:
    """Groups voiced frames, given with the times their first samples arrived, into utterances."""
    found: list[Utterance] = []
    start = last = None
    count = 0
    for time, flag in zip(times, flags, strict=True):
        if not flag:
            continue
        if start is None or last is None or time - last > gap:
            if start is not None and last is not None and count >= MIN_VOICED:
                found.append(Utterance(start, last + FRAME_SECONDS))
            start, count = time, 0
        last = time
        count += 1
    if start is not None and last is not None and count >= MIN_VOICED:
        found.append(Utterance(start, last + FRAME_SECONDS))
    return found


def in_samples(samples: Samples, gap: float = END_OF_UTTERANCE) -> list[Utterance]:
    """The utterances of a recording, in seconds from its start."""
    count = samples.size // FRAME
    frames = samples[: count * FRAME].reshape(count, FRAME)
    return utterances([i * FRAME_SECONDS for i in range(count)], [voiced(frame) for frame in frames], gap)
