"""Arithmetic on 16-bit mono audio: the telephone's mu-law, resampling of whole recordings."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
EAR_RATE = 16_000  # samples a second, what the ear is fed with
PHONE_RATE = 8_000


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
