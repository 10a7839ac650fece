"""What the callers say: questions by espeak-ng voices with fillers, pauses and line noise, coughs, and recordings of people.

All of it follows from a seed. Samples are int16 at 8 kHz, mono.
"""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fleet.draw import Clinic
from fleet.process import FleetError
from fleet.speech import RATE, Samples, Synthesizer, Voice, resample

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
VOICES = (Voice("en-us+m3", 165), Voice("en-us+f4", 170), Voice("en-gb", 165), Voice("en-us+m7", 170))
NOISE_BELOW_SPEECH_DB = 28.0
LEVEL = 3000.0
"""Root mean square of a caller's speech; the noise lies below what counts as voiced."""

_PRICE = ("how much is the {}", "what does the {} cost", "how much do you charge for the {}")
_FILLERS = ("um", "uh", "well")
PAUSES_S = (0.2, 0.35)
"""Within a question, shorter than any pause that ends one."""


class Callers:
    """Draws what is said next. ``synthesizer`` keeps what was spoken already."""

    def __init__(self, clinic: Clinic, synthesizer: Synthesizer, seed: int) -> None:
        self._clinic = clinic
        self._synthesizer = synthesizer
        self._seed = seed
        self._recordings = [recording(path) for path in sorted(RECORDINGS.glob("*.wav"))]

    @property
    def recordings(self) -> int:
        return len(self._recordings)

    def questions(self, what: str) -> Iterator[Samples]:
        """Endless. The same ``what`` gives the same questions: each side of a block is asked alike."""
        rng = random.Random(f"{self._seed} {what}")
        while True:
            if self._recordings and rng.random() < 0.5:
                yield rng.choice(self._recordings)
            else:
                yield self._question(rng)

    def _question(self, rng: random.Random) -> Samples:
        voice = rng.choice(VOICES)
        name = rng.choice(self._clinic.treatments).name
        text = rng.choice(_PRICE)
        said = [self.sound(text.format(name), voice)]
        if rng.random() < 0.3:
            said = [self.sound(rng.choice(_FILLERS), voice), silence(rng.uniform(*PAUSES_S)), *said]
        return np.concatenate(said)

    def long_question(self, rng: random.Random) -> Samples:
        """A question whose answer lasts."""
        return self.sound(rng.choice(self._clinic.long.topic.asked), rng.choice(VOICES))

    def interruption(self, rng: random.Random) -> Samples:
        """What a caller says into an answer."""
        return self.sound(
            f"wait, {rng.choice(_PRICE).format(rng.choice(self._clinic.treatments).name)}", rng.choice(VOICES)
        )

    def backchannel(self, rng: random.Random) -> Samples:
        return self.sound("mm hm", rng.choice(VOICES))

    def sound(self, text: str, voice: Voice) -> Samples:
        """At the common level, without silence around."""
        return at_level(trimmed(self._synthesizer.speak(text, voice)))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def line_noise(seed: int, seconds: float = 4.0) -> Samples:
    """A room's noise (falling 3 dB an octave), to be sent over and over."""
    dice = np.random.default_rng(seed)
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(dice.standard_normal(count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[: round(100 * seconds)] = 0  # a telephone's microphone hears no rumble
    noise = np.fft.irfft(spectrum, count)
    level = LEVEL / 10 ** (NOISE_BELOW_SPEECH_DB / 20)
    return np.asarray(np.rint(noise * level / np.sqrt(np.mean(noise**2))), dtype=np.int16)


def cough(rng: random.Random) -> Samples:
    """Two bursts of noise with a sharp beginning, as a cough has."""
    dice = np.random.default_rng(rng.randrange(2**32))
    bursts = []
    for seconds in (rng.uniform(0.1, 0.16), rng.uniform(0.06, 0.12)):
        count = round(seconds * RATE)
        fall = np.exp(-np.linspace(0, 4, count))
        noise = np.convolve(dice.standard_normal(count + 3), np.ones(4) / 4, "valid")
        bursts += [noise * fall, np.zeros(round(0.06 * RATE))]
    joined = np.concatenate(bursts)
    return np.asarray(np.clip(joined / np.max(np.abs(joined)) * 3.0 * LEVEL, -32767, 32767), dtype=np.int16)


def trimmed(samples: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 200)
    return samples if loud.size == 0 else samples[loud[0] : loud[-1] + 1]


def at_level(samples: Samples) -> Samples:
    voiced = samples[np.abs(samples.astype(np.int32)) > 200].astype(np.float64)
    level = np.sqrt(np.mean(voiced**2)) if voiced.size else 1.0
    return np.asarray(np.clip(samples.astype(np.float64) * (LEVEL / level), -32767, 32767), dtype=np.int16)


def recording(path: Path) -> Samples:
    """A WAV of 16 bit, mono. FleetError for another."""
    with wave.open(str(path)) as source:
        if (source.getnchannels(), source.getsampwidth()) != (1, 2):
            raise FleetError(f"{path.name} is not 16-bit mono")
        samples = np.frombuffer(source.readframes(source.getnframes()), dtype="<i2").astype(np.int16)
        return at_level(trimmed(resample(samples, source.getframerate(), RATE)))
