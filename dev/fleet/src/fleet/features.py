"""Mel-frequency cepstra and dynamic time warping in numpy, for telling sentences apart by ear."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from fleet.speech import RATE, Samples

Matrix = NDArray[np.float64]

WINDOW = 400
FFT = 512
BANDS = 24
CEPSTRA = 13
COARSE, FINE = 80, 40
"""Samples between frames (10 and 5 ms). One side of a comparison is fine: with both at 10 ms, the same sound shifted by
5 ms, as a call shifts it, is as far from itself as from a neighbouring number."""
FLOOR = 1e-2
"""Of the mean energy, added to every band: keeps the codec's residue in quiet bands from looking like sound."""
PAUSE_KEPT = 0.08
"""Seconds of a pause that are kept: how long somebody pauses says nothing about what was said."""
STEEPEST = 4
"""How many fine frames one coarse frame may pass over; two is the same tempo."""


@cache
def mel_filters() -> Matrix:
    """Triangular filters between 150 and 3600 Hz, shape (BANDS, FFT // 2 + 1): a telephone carries no more."""

    def mel(hertz: float) -> float:
        return 1127.0 * float(np.log1p(hertz / 700.0))

    centres = 700.0 * np.expm1(np.linspace(mel(150.0), mel(3600.0), BANDS + 2) / 1127.0)
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    low, middle, high = centres[:-2, None], centres[1:-1, None], centres[2:, None]
    rising = (bins - low) / (middle - low)
    falling = (high - bins) / (high - middle)
    return np.maximum(0.0, np.minimum(rising, falling))


@cache
def cosines() -> Matrix:
    """DCT-II rows 1 to CEPSTRA, liftered, shape (CEPSTRA, BANDS); row 0 (loudness) is left out."""
    order = np.arange(1, CEPSTRA + 1)[:, None]
    basis = np.cos(np.pi * order * (np.arange(BANDS)[None, :] + 0.5) / BANDS)
    lifter = 1.0 + 11.0 * np.sin(np.pi * order / 22.0)
    return np.asarray(basis * lifter * np.sqrt(2.0 / BANDS))


def speech_features(samples: Samples, hop: int) -> Matrix:
    """Features of the speech in a recording, shape (frames, 2 x CEPSTRA), `hop` samples apart, pauses shortened.

    Empty when there is no speech. Mean and variance are those of the voiced frames, which takes the line's colour out.
    """
    if samples.size < WINDOW:
        return np.zeros((0, 2 * CEPSTRA))
    signal = samples.astype(np.float64)
    signal = np.append(signal[0], signal[1:] - 0.95 * signal[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::hop] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2 / FFT
    energies = power @ mel_filters().T
    loudness = 10.0 * np.log10(energies.sum(axis=1) + 1.0)
    active = loudness > max(loudness.max() - 40.0, 20.0)
    if not active.any():
        return np.zeros((0, 2 * CEPSTRA))
    cepstra = np.log(energies + energies.mean() * FLOOR + 1.0) @ cosines().T
    voiced = cepstra[active]
    kept = cepstra[shorten_pauses(active, int(PAUSE_KEPT * RATE / hop))]
    kept = (kept - voiced.mean(axis=0)) / (voiced.std(axis=0) + 1e-6)
    # The slope over the same 40 ms, however far the frames are apart.
    reach = 160 // hop
    padded = np.pad(kept, ((reach, reach), (0, 0)), mode="edge")
    slope = (padded[2 * reach :] - padded[: -2 * reach]) * 0.4
    return np.hstack([kept, slope])


def shorten_pauses(active: NDArray[np.bool_], kept: int) -> NDArray[np.intp]:
    """Indices of the frames to keep: all speech, and of each pause inside it the first `kept`."""
    spoken = np.flatnonzero(active)
    keep: list[int] = []
    since = 0
    for index in range(spoken[0], spoken[-1] + 1):
        since = 0 if active[index] else since + 1
        if since <= kept:
            keep.append(index)
    return np.asarray(keep, dtype=np.intp)


def local_costs(first: Matrix, second: Matrix) -> Matrix:
    """Euclidean distances of every frame with every frame, per square root of a dimension."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :] - 2.0 * first @ second.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) / first.shape[1]))


def warp(costs: Matrix, anywhere: bool = False) -> float:
    """The cheapest way to lay the coarse side (rows) over the fine side (columns), per row.

    Every row is used once and passes over 0 to STEEPEST columns, so candidates of any length compare. It begins at the first
    column and ends at the last, or `anywhere` (phrase spotting: the rows are the phrase). Infinite when either is empty.
    """
    rows, columns = int(costs.shape[0]), int(costs.shape[1])
    if rows == 0 or columns == 0:
        return float("inf")
    # Shifted by STEEPEST, so that looking back never leaves the array.
    sums = np.full(columns + STEEPEST, np.inf)
    first = columns if anywhere else min(columns, STEEPEST)
    sums[STEEPEST : STEEPEST + first] = costs[0, :first]
    for row in range(1, rows):
        best = sums[STEEPEST:].copy()
        for step in range(1, STEEPEST + 1):
            np.minimum(best, sums[STEEPEST - step : columns + STEEPEST - step], out=best)
        sums[STEEPEST:] = best + costs[row]
    return float(sums[STEEPEST:].min() if anywhere else sums[-1]) / rows
