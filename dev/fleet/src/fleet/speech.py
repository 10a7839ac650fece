"""Telephone speech by espeak-ng: what the demo's caller says, and what the judge compares with.

Samples are int16 at 8 kHz, mono, as on the telephone.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fleet.files import find_program
from fleet.process import FleetError

Samples = NDArray[np.int16]
RATE = 8000


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice: name with variant, words per minute, pitch 0 to 99."""

    name: str = "en-us"
    speed: int = 165
    pitch: int = 50


CALLER = Voice("en-us+m3", 150, 50)
"""Not the agent's: who speaks must be told apart by ear."""


class Synthesizer:
    """Speaks sentences and keeps them in a folder (any folder that ends with the run)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def speak(self, text: str, voice: Voice) -> Samples:
        """The sentence as int16 samples at 8 kHz. FleetError when espeak-ng can't."""
        key = hashlib.sha256(f"{voice}|{text}".encode()).hexdigest()[:32]
        path = self._folder / f"{key}.npy"
        if path.exists():
            kept: Samples = np.load(path)
            return kept
        samples = espeak(text, voice)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Two calls are judged at once, each in a thread: nobody may find half a file.
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as fresh:
            np.save(fresh, samples)
        Path(fresh.name).replace(path)
        return samples


def espeak(text: str, voice: Voice) -> Samples:
    """One run of espeak-ng; the text goes through stdin, so that it can't be taken for an option."""
    program = find_program("espeak-ng", "Debian package espeak-ng")
    command = [str(program), "-v", voice.name, "-s", str(voice.speed), "-p", str(voice.pitch), "--stdin", "--stdout"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0 or len(done.stdout) <= 44:
        raise FleetError(f"espeak-ng could not speak with voice {voice.name}: {done.stderr.decode(errors='replace')}")
    # Streamed to a pipe, its header carries no true length: everything after it is audio.
    header = done.stdout[:44]
    rate = int.from_bytes(header[24:28], "little")
    samples = np.frombuffer(done.stdout[44 : len(done.stdout) // 2 * 2], dtype="<i2")
    return resample(samples, rate, RATE)


def resample(samples: Samples, source: int, target: int) -> Samples:
    """Resampling in the frequency domain: what the lower rate can't carry is cut off."""
    if source == target or samples.size == 0:
        return samples
    divisor = gcd(source, target)
    # A little silence at the end keeps the transform's wrap-around out of the speech, and makes the lengths fit.
    unit = source // divisor
    length = -(-(samples.size + source // 20) // unit) * unit
    spectrum = np.fft.rfft(samples, length)
    count = length // unit * (target // divisor)
    size = count // 2 + 1
    kept = spectrum[:size] if size <= spectrum.size else np.pad(spectrum, (0, size - spectrum.size))
    result = np.fft.irfft(kept, count) * (target / source)
    result = result[: int(samples.size * target / source)]
    return np.clip(np.round(result), -32768, 32767).astype(np.int16)


def write_wav(path: Path, samples: Samples) -> None:
    """16 bit, mono, 8 kHz: the only kind that baresip's file source takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream, wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.astype("<i2").tobytes())


def read_wav(path: Path) -> Samples:
    """A 16-bit mono WAV at 8 kHz. FleetError for any other."""
    with wave.open(io.BytesIO(path.read_bytes())) as source:
        if (source.getnchannels(), source.getsampwidth(), source.getframerate()) != (1, 2, RATE):
            raise FleetError(f"{path} is not 16-bit mono at {RATE} Hz")
        return np.frombuffer(source.readframes(source.getnframes()), dtype="<i2").astype(np.int16)
