"""The acoustic model's files, read and written with numpy: Gaussians, mixture weights, senone table, features.

The stock model is "phonetically tied": one codebook of 128 diagonal Gaussians per phone and stream (three streams of
13: cepstra, first and second differences) and one weight vector per senone (tied state) over its phone's codebook.
"""

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x11223344
_LOG_BASE = 1.0001  # of the quantised weights; a byte is that logarithm shifted right by 10 bits
_SHIFT = 10
_NO_DUMP = "not a {kind} file of the stock model"

Floats = NDArray[np.float32]


def read_gaussians(path: Path) -> Floats:
    """Means or variances: shape (codebook, stream, density, 13). Raises ValueError for another layout."""
    raw = path.read_bytes()
    start = raw.index(b"endhdr\n") + len(b"endhdr\n")
    magic, books, streams, densities = struct.unpack_from("<4i", raw, start)
    lengths = struct.unpack_from(f"<{streams}i", raw, start + 16)
    if magic != _MAGIC or len(set(lengths)) != 1:
        raise ValueError(f"{path}: " + _NO_DUMP.format(kind="Gaussian"))
    total = struct.unpack_from("<i", raw, start + 16 + 4 * streams)[0]
    values = np.frombuffer(raw, "<f4", total, start + 20 + 4 * streams)
    return values.reshape(books, streams, densities, lengths[0]).copy()


def write_gaussians(path: Path, values: Floats) -> None:
    """The inverse of `read_gaussians`."""
    books, streams, densities, length = values.shape
    head = struct.pack(f"<{5 + streams}i", _MAGIC, books, streams, densities, *[length] * streams, values.size)
    path.write_bytes(b"s3\nversion 1.0\nendhdr\n" + head + values.astype("<f4").tobytes())


def read_sendump(path: Path, senones: int) -> Floats:
    """The stock model's quantised weights as probabilities: shape (senone, stream, density)."""
    raw, at = path.read_bytes(), 0
    while (size := struct.unpack_from("<i", raw, at)[0]) != 0:
        at += 4 + size
    densities, found = struct.unpack_from("<2i", raw, at + 4)
    at += 12
    streams = (len(raw) - at) // (densities * senones)
    if found != senones or streams * densities * senones != len(raw) - at:
        raise ValueError(f"{path}: " + _NO_DUMP.format(kind="weight"))
    quantised = np.frombuffer(raw, np.uint8, offset=at).reshape(streams, densities, senones)
    weights = np.exp(-(quantised.astype(np.float64) * (1 << _SHIFT)) * math.log(_LOG_BASE))
    weights = weights.transpose(2, 0, 1)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)


def write_mixture_weights(path: Path, weights: Floats) -> None:
    """Weights, shape (senone, stream, density), in the unquantised format."""
    head = struct.pack("<5i", _MAGIC, *weights.shape, weights.size)
    path.write_bytes(b"s3\nversion 1.0\nendhdr\n" + head + weights.astype("<f4").tobytes())


def senone_codebooks(mdef: Path) -> NDArray[np.int64]:
    """The codebook (that is, the base phone) of each senone, from the binary model definition."""
    raw = mdef.read_bytes()
    if raw[:4] != b"BMDF":
        raise ValueError(f"{mdef}: " + _NO_DUMP.format(kind="model definition"))
    header = struct.unpack_from("<i", raw, 8)[0]
    at = 12 + header
    bases, phones, states, _, senones, _, sequences, _, nodes, _ = struct.unpack_from("<10i", raw, at)
    at = names = at + 40
    for _ in range(bases):
        at = raw.index(b"\0", at) + 1
    at = names + (at - names + 3) // 4 * 4 + nodes * 8
    table = np.frombuffer(raw, np.dtype([("sequence", "<i4"), ("matrix", "<i4"), ("attr", "u1", 4)]), phones, at)
    at += phones * 12 + 4
    tied = np.frombuffer(raw, "<u2", sequences * states, at).reshape(sequences, states)
    owner = np.full(senones, -1, np.int64)
    base = np.where(np.arange(phones) < bases, np.arange(phones), table["attr"][:, 1])
    for state in range(states):
        owner[tied[table["sequence"], state]] = base
    if (owner < 0).any() or owner.max() >= bases:
        raise ValueError(f"{mdef}: " + _NO_DUMP.format(kind="model definition"))
    return owner


def read_features(path: Path) -> Floats:
    """A feature log of the decoder: cepstra before mean normalisation, shape (frame, 13)."""
    raw = path.read_bytes()
    for order in ("<", ">"):
        if struct.unpack_from(order + "i", raw)[0] == (len(raw) - 4) // 4:
            return np.frombuffer(raw, order + "f4", offset=4).astype(np.float32).reshape(-1, 13)
    raise ValueError(f"{path}: " + _NO_DUMP.format(kind="feature"))


def dynamic_features(cepstra: Floats) -> Floats:
    """Mean-normalised cepstra with first and second differences, shape (frame, stream 3, 13)."""
    static = cepstra - cepstra.mean(axis=0)
    padded = np.concatenate([static[:1]] * 3 + [static] + [static[-1:]] * 3)
    count = len(static)

    def shifted(by: int) -> Floats:
        return padded[3 + by : 3 + by + count]

    first = shifted(2) - shifted(-2)
    second = (shifted(3) - shifted(-1)) - (shifted(1) - shifted(-3))
    return np.stack([static, first, second], axis=1)
