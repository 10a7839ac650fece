"""Callers' voices and the telephone line: espeak-ng, G.711's 8 kHz mu-law, and background noise. All seeded.

"clean" is a quiet telephone line (nobody reaches a receptionist without one), "noisy" has noise with the spectrum of a room
(falling 3 dB per octave) 15 to 20 dB below the speech, added before the coder, as a microphone would.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Literal

import numpy as np
from voice_agent.offline import sound
from voice_agent.offline.acoustic import was_heard
from voice_agent.offline.voice import read_wav

Noise = Literal["clean", "noisy"]
NOISES: tuple[Noise, ...] = ("clean", "noisy")
SNR_DB = (15.0, 20.0)
LEAD_S, TRAIL_S = 0.3, 0.5


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice, with the speed in words a minute of a first take."""

    name: str
    speed: int = 160

    @property
    def seen(self) -> bool:
        """Whether the acoustic model was trained on this voice."""
        return was_heard(self.name)


_TEST_VOICES = (
    Voice("en-us+m3"), Voice("en-gb"), Voice("en-us+f4", 165), Voice("en-us+Andrea"), Voice("en-gb-x-gbclan"),
)  # fmt: skip
VOICES = {
    "test-3": _TEST_VOICES,
    "test-2": _TEST_VOICES,
    "test": _TEST_VOICES,
    "development": (
        Voice("en-us"), Voice("en-gb+f3"), Voice("en-us+m7", 165), Voice("en-us+f1"), Voice("en-gb-x-gbcwmd"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Take:
    """One way in which a sentence is said. ``attempt`` 0 is the first; a repetition is slower and a little higher."""

    voice: Voice
    noise: Noise
    attempt: int
    seed: int


def say(text: str, take: Take) -> sound.Samples:
    """What arrives at the ear: 16 kHz, mono, with a little silence (or noise) around."""
    speed = round(take.voice.speed * (1.0, 0.87, 0.8)[take.attempt])
    command = ["espeak-ng", "-v", take.voice.name, "-s", str(speed), "-p", str(50 + 4 * take.attempt)]
    done = subprocess.run([*command, "--stdin", "--stdout"], input=text.encode(), capture_output=True, check=True)
    samples, rate = read_wav(done.stdout)
    narrow = sound.resample(samples, rate, sound.PHONE_RATE)
    lead, trail = round(LEAD_S * sound.PHONE_RATE), round(TRAIL_S * sound.PHONE_RATE)
    whole = np.pad(narrow, (lead, trail))
    if take.noise == "noisy":
        whole = _with_noise(whole, narrow, np.random.default_rng(take.seed))
    return sound.through_telephone(whole, sound.PHONE_RATE)


def _with_noise(whole: sound.Samples, speech: sound.Samples, dice: np.random.Generator) -> sound.Samples:
    spectrum = np.fft.rfft(dice.standard_normal(len(whole)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[: max(1, round(100 * len(whole) / sound.PHONE_RATE))] = 0  # a telephone's microphone hears no rumble
    noise = np.fft.irfft(spectrum, len(whole))
    loud = np.sqrt(np.mean(speech.astype(np.float64) ** 2)) / 10 ** (dice.uniform(*SNR_DB) / 20)
    mixed = whole + noise * (loud / np.sqrt(np.mean(noise**2)))
    return np.asarray(np.clip(np.rint(mixed), -32768, 32767), np.int16)
