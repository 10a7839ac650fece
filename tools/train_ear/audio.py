"""What espeak-ng says, kept in files, and what a telephone line makes of it, drawn anew each time."""

from __future__ import annotations

import pickle
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from train_ear.sentences import Sentences, dictionary_words, voice
from voice_agent.offline import sound
from voice_agent.offline.mel import BANDS, LogMel
from voice_agent.offline.pronounce import read_sentences

Floats = NDArray[np.float32]
PER_FILE = 800
_HEADER = 44  # bytes of espeak-ng's WAV header; the sizes in it are wrong when it writes to a pipe
_ESPEAK_RATE = 22_050


@dataclass(frozen=True)
class Spoken:
    """One sentence: its phones and the 8 kHz samples, before any line."""

    phones: tuple[str, ...]
    samples: sound.Samples


def make(folder: Path, count: int, seed: int) -> list[Spoken]:
    """`count` sentences, from the folder as far as they were made before."""
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Spoken] = []
    rare = dictionary_words()
    for first in range(0, count, PER_FILE):
        size = min(PER_FILE, count - first)
        path = folder / f"{seed}-{first}-{size}.pickle"
        if not path.is_file():
            part = path.with_suffix(".part")
            part.write_bytes(pickle.dumps(_speak(random.Random(f"{seed} {first}"), size, rare)))
            part.rename(path)
        made += pickle.loads(path.read_bytes())  # noqa: S301  (our own file)
        print(f"{len(made)} sentences", flush=True)
    return made


def _speak(dice: random.Random, count: int, rare: list[str]) -> list[Spoken]:
    drawn = Sentences(dice, rare)
    items = [(drawn.draw(), voice(dice)) for _ in range(count)]
    readings = {accent: read_sentences([text for text, _ in items], accent) for accent in ("en-us", "en-gb")}
    found: list[Spoken] = []
    for at, (text, name) in enumerate(items):
        speed, pitch = dice.randint(120, 195), min(99, max(0, round(dice.gauss(50, 14))))
        command = ["espeak-ng", "-v", name, "-s", str(speed), "-p", str(pitch), "--stdout"]
        done = subprocess.run([*command, text + dice.choice(("", ".", "?"))], capture_output=True, check=True)
        wav = np.frombuffer(done.stdout[_HEADER : len(done.stdout) // 2 * 2], "<i2")
        narrow = sound.resample(wav, _ESPEAK_RATE, sound.PHONE_RATE)
        loud = np.flatnonzero(np.abs(narrow) > 150)
        if len(loud):
            family = "en-us" if name.startswith("en-us") else "en-gb"
            phones = tuple(phone for group in readings[family][at] for phone in group.split())
            found.append(Spoken(phones, narrow[max(0, loud[0] - 400) : loud[-1] + 800]))
    return found


def _coloured(dice: np.random.Generator, count: int) -> Floats:
    """Noise of unit loudness that falls by 0 to 5 dB an octave."""
    size = 1 << (count - 1).bit_length()
    spectrum = np.fft.rfft(dice.standard_normal(size, dtype=np.float32))
    at = np.arange(len(spectrum), dtype=np.float32)
    at[0] = 1
    spectrum *= at ** (-dice.uniform(0, 1.8) / 2)
    spectrum[: int(size * dice.uniform(40, 250) / sound.PHONE_RATE)] = 0
    if dice.random() < 0.3:
        hertz = at * sound.PHONE_RATE / size
        spectrum *= 1 + 3 * np.exp(-(((hertz - dice.uniform(200, 3000)) / dice.uniform(100, 800)) ** 2))
    noise = np.fft.irfft(spectrum)[:count].astype(np.float32)
    return np.asarray(noise / (noise.std() + 1e-9), np.float32)


def _mu_law(samples: Floats) -> Floats:
    law = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)
    coded = np.rint(law * 127) / 127
    return np.asarray(np.sign(coded) * (np.power(256.0, np.abs(coded)) - 1) / 255, np.float32)


def on_a_line(samples: sound.Samples, dice: np.random.Generator, other: sound.Samples) -> Floats:
    """One hearing, in [-1, 1] at 8 kHz. `other`: somebody else's speech for the background."""
    heard = samples.astype(np.float32) / 32768
    if dice.random() < 0.15:  # speech was detected late
        heard = heard[int(dice.uniform(0, 0.12) * sound.PHONE_RATE) :]
    around = (int(dice.uniform(0.05, 0.6) * sound.PHONE_RATE), int(dice.uniform(0.35, 0.7) * sound.PHONE_RATE))
    heard = np.pad(heard, around)
    if dice.random() < 0.5:
        heard *= 10 ** (dice.uniform(-36, -14) / 20) / (np.sqrt((heard**2).mean()) + 1e-9)
    loud = np.sqrt((heard**2).mean()) + 1e-9
    chance = dice.random()
    if chance < 0.6:
        noise = _coloured(dice, len(heard))
        if dice.random() < 0.25:
            babble = np.resize(other.astype(np.float32), len(heard))
            noise = 0.7 * noise + 0.35 * babble / (babble.std() + 1e-9)
        heard = heard + noise * loud * 10 ** (-dice.uniform(9, 30) / 20)
    elif chance < 0.7:
        white = dice.standard_normal(len(heard), dtype=np.float32)
        heard = heard + white * loud * 10 ** (-dice.uniform(20, 40) / 20)
    heard = np.clip(heard, -1, 1)
    return _mu_law(heard) if dice.random() < 0.92 else np.asarray(heard, np.float32)


_LOW, _HIGH = np.array([697, 770, 852, 941]), np.array([1209, 1336, 1477, 1633])
_CALL_TONES = np.array([[350, 440], [440, 480], [480, 620], [425, 425], [400, 450]])


def _tones(dice: np.random.Generator, time: Floats) -> Floats:
    """Digits, tones of an exchange, or beeps, on and off."""
    kind, period = dice.random(), dice.uniform(0.12, 1.0)
    turn = (time // period).astype(int)
    if kind < 0.55:
        pitches = [dice.choice(group, turn.max() + 1)[turn] for group in (_LOW, _HIGH)]
    elif kind < 0.75:
        pitches = [np.full(len(time), hertz) for hertz in dice.choice(_CALL_TONES)]
    else:
        pitches = [np.full(len(time), dice.uniform(200, 3000)) for _ in range(int(dice.integers(1, 3)))]
    gate = np.convolve((time % period) < period * dice.uniform(0.3, 1.0), np.ones(40) / 40, "same")
    return np.asarray(
        gate * sum(np.sin(2 * np.pi * pitch * time + dice.uniform(0, 6)) for pitch in pitches), np.float32
    )


def not_speech(dice: np.random.Generator) -> Floats:
    """What a line carries beside speech: tones, clicks, noise that comes and goes, or nothing. In [-1, 1] at 8 kHz."""
    count, kind = int(dice.uniform(1.0, 3.5) * sound.PHONE_RATE), dice.random()
    time = np.arange(count, dtype=np.float32) / sound.PHONE_RATE
    heard = np.zeros(count, np.float32)
    if kind < 0.55:
        heard = _tones(dice, time)
    elif kind < 0.65:
        for at in dice.integers(0, count - 80, int(dice.integers(1, 8))):
            heard[at : at + 80] += dice.standard_normal(80) * np.exp(-np.arange(80) / dice.uniform(5, 30))
    elif kind < 0.85:
        swell = np.interp(time, np.linspace(0, time[-1], 12), dice.uniform(0, 1, 12) ** 2)
        heard = _coloured(dice, count) * swell.astype(np.float32)
    heard = heard / (np.abs(heard).max() + 1e-9) * 10 ** (dice.uniform(-30, -3) / 20)
    if dice.random() < 0.5:
        heard = heard + _coloured(dice, count) * 10 ** (-dice.uniform(35, 65) / 20)
    heard = np.clip(heard, -1, 1).astype(np.float32)
    return _mu_law(heard) if dice.random() < 0.92 else heard


def features(samples: Floats, dice: np.random.Generator) -> Floats:
    """Log-mel frames with a drawn tilt of the spectrum, two masked bands and two masked moments."""
    found = LogMel(sound.PHONE_RATE)(samples)
    bend = np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 5), dice.normal(0, 0.5, 5))
    found = found + bend.astype(np.float32)
    for _ in range(2):
        width = int(dice.integers(0, 7))
        at = int(dice.integers(0, BANDS - width))
        found[:, at : at + width] = found.mean()
        width = int(dice.integers(0, 8))
        at = int(dice.integers(0, max(1, len(found) - width)))
        found[at : at + width] = found.min()
    return np.asarray(found, np.float32)
