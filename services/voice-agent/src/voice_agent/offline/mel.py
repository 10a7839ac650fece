"""Log-mel features of telephone speech, in a stream: 40 bands from 100 to 3800 Hz, 25 ms windows, one every 10 ms.

The acoustic model was trained on them at 8 kHz; here they are taken from the ear's 16 kHz, whose spectrum has the same
bins below 4 kHz. No normalisation by utterance, which a stream couldn't do: the model holds the mean and spread of its
training data.
"""

import numpy as np
from numpy.typing import NDArray

from voice_agent.offline.sound import EAR_RATE, PHONE_RATE, Samples

BANDS = 40
FRAMES_PER_SECOND = 100
FLOOR = 1e-4  # added to a band's power: below it is a silent line
QUIET = float(np.log(FLOOR))  # a frame of digital silence
_LOWEST, _HIGHEST = 100.0, 3800.0  # Hz
Floats = NDArray[np.float32]


def as_floats(samples: Samples) -> Floats:
    """16-bit samples in [-1, 1]."""
    return samples.astype(np.float32) * np.float32(1 / 32768)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def filters(bins: int, width: float) -> Floats:
    """Triangular filters (bands, bins) over bins `width` Hz apart."""
    edges = 700 * (10 ** (np.linspace(_mel(_LOWEST), _mel(_HIGHEST), BANDS + 2) / 2595) - 1)
    centre = np.arange(bins) * width
    up = (centre - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - centre) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(up, down)).astype(np.float32)


class LogMel:
    """Features of samples in [-1, 1], fed in pieces of any length. `rate`: 16,000, or 8,000 for training."""

    def __init__(self, rate: int = EAR_RATE) -> None:
        self._hop = rate // FRAMES_PER_SECOND
        self._size = rate // 40
        self._transform = 256 * rate // PHONE_RATE
        # sampled between the samples, so that both rates see the same window
        phase = 2 * np.pi * (np.arange(self._size) + 0.5) / self._size
        self._window = ((0.5 - 0.5 * np.cos(phase)) * (PHONE_RATE / rate)).astype(np.float32)
        self._filters = filters(129, PHONE_RATE / 256).T
        self._rest = np.zeros(0, np.float32)

    def start(self) -> None:
        """Forgets what is left of the audio before."""
        self._rest = np.zeros(0, np.float32)

    def __call__(self, samples: Floats) -> Floats:
        """The frames (n, 40) that these samples complete."""
        samples = np.concatenate([self._rest, samples])
        count = max(0, 1 + (len(samples) - self._size) // self._hop)
        self._rest = samples[count * self._hop :]
        if count == 0:
            return np.zeros((0, BANDS), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._size)[:: self._hop][:count]
        spectrum = np.fft.rfft(windows * self._window, self._transform)[:, :129]
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return np.asarray(np.log(power @ self._filters + FLOOR), np.float32)
