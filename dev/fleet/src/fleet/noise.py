"""A telephone line for tests: G.711's mu-law, a gain, noise, and silence around."""

from __future__ import annotations

import numpy as np

from fleet.speech import Samples


def over_the_line(
    samples: Samples, rng: np.random.Generator, gain: float = 0.8, snr_db: float | None = None
) -> Samples:
    """What arrives when this is sent; `snr_db` adds white noise that far below the speech."""
    signal = samples.astype(np.float64) * gain
    if snr_db is not None:
        level = np.sqrt(np.mean(signal**2)) / 10 ** (snr_db / 20)
        signal = signal + rng.normal(0.0, level, signal.size)
    lead, trail = (int(value) for value in rng.integers(800, 8000, 2))
    return mu_law(np.pad(signal, (lead, trail)))


def mu_law(signal: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Samples:
    """Through 8-bit mu-law and back."""
    scaled = np.clip(signal / 32768.0, -1.0, 1.0)
    coded = np.round(np.sign(scaled) * np.log1p(255.0 * np.abs(scaled)) / np.log(256.0) * 127.0) / 127.0
    result = np.sign(coded) * (256.0 ** np.abs(coded) - 1.0) / 255.0 * 32767.0
    return np.asarray(result, dtype=np.int16)
