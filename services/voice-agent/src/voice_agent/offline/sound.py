"""Arithmetic on 16-bit mono audio: the telephone's mu-law, a little noise, resampling of whole recordings."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
EAR_RATE = 16_000  # samples a second, what the acoustic model was made for
PHONE_RATE = 8_000
DITHER_DB = 28.0  # below the speech; none at all breaks decoding, 20 is too loud for natural voices


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """A whole recording at another rate, by cutting or padding its spectrum (no streaming)."""
    if rate == wanted or len(samples) == 0:
        return samples
    # a length with small prime factors: transforms of an arbitrary length are up to ten times slower
    samples = np.pad(samples, (0, -len(samples) % (rate // 10)))
    count = max(1, round(len(samples) * wanted / rate))
    spectrum = np.fft.rfft(samples.astype(np.float64))
    kept = np.zeros(count // 2 + 1, np.complex128)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    moved = np.fft.irfft(kept, count) * (count / len(samples))
    return np.clip(np.rint(moved), -32768, 32767).astype(np.int16)


def through_telephone(samples: Samples, rate: int) -> Samples:
    """What a caller's voice is after G.711 (8 kHz, mu-law), at the ear's rate of 16 kHz."""
    narrow = resample(samples, rate, PHONE_RATE).astype(np.float64) / 32768
    law = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    coded = np.rint(law * 127) / 127
    heard = np.sign(coded) * (np.power(256.0, np.abs(coded)) - 1) / 255
    return resample(np.clip(np.rint(heard * 32768), -32768, 32767).astype(np.int16), PHONE_RATE, EAR_RATE)


class Dither:
    """Adds noise `decibels` below the loudness of the speech so far (follows it slowly, so that gaps get it too).

    `seed` makes it repeatable. Chunks of any length; returns a new array.
    """

    def __init__(self, seed: int, *, decibels: float = DITHER_DB) -> None:
        self._noise = np.random.default_rng(seed)
        self._gain = 10 ** (-decibels / 20)
        self._level = 300.0  # root mean square of quiet telephone speech, until some is heard

    def __call__(self, samples: Samples) -> Samples:
        values = samples.astype(np.float32)
        loud = float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
        if loud > self._level:
            self._level = loud
        else:
            self._level = max(50.0, self._level * 0.995 + loud * 0.005 if loud > 50 else self._level)
        noise = self._noise.standard_normal(len(values), dtype=np.float32) * np.float32(self._level * self._gain)
        return np.clip(np.rint(values + noise), -32768, 32767).astype(np.int16)
