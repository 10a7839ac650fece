"""G.711 as two decoding and two encoding tables over numpy arrays (ITU-T G.711; 8 kHz, 16-bit linear)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
FRAME: Final = 160  # samples in 20 ms


def _ulaw_to_linear(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw_to_linear(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = (code & 0x70) >> 4, code & 0x0F
    magnitude = (mantissa << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    # In A-law a set sign bit means positive, the opposite of mu-law.
    return magnitude if code & 0x80 else -magnitude


def _ulaw_codes(samples: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    sign = np.where(samples < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(samples), 32635) + 0x84
    exponent = np.frexp(magnitude)[1] - 8  # frexp's exponent is the bit length
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    codes: npt.NDArray[np.int32] = ~(sign | exponent << 4 | mantissa) & 0xFF
    return codes


def _alaw_codes(samples: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    sign = np.where(samples >= 0, 0x80, 0)
    # One's complement of a negative sample keeps the codes symmetrical: -1 belongs to the first step below zero.
    magnitude = np.where(samples >= 0, samples, ~samples) >> 4
    exponent = np.maximum(np.frexp(magnitude)[1] - 4, 0)
    mantissa = (magnitude >> np.maximum(exponent - 1, 0)) & 0x0F
    codes: npt.NDArray[np.int32] = (sign | exponent << 4 | mantissa) ^ 0x55
    return codes


_ULAW_DECODE: Final = np.array([_ulaw_to_linear(code) for code in range(256)], dtype=np.int16)
_ALAW_DECODE: Final = np.array([_alaw_to_linear(code) for code in range(256)], dtype=np.int16)
# Indexed by the sample's bits as an unsigned number: 0 to 32767, then -32768 to -1.
_BY_BITS: Final = np.concatenate((np.arange(32768), np.arange(-32768, 0))).astype(np.int32)
_ULAW_ENCODE: Final = _ulaw_codes(_BY_BITS).astype(np.uint8)
_ALAW_ENCODE: Final = _alaw_codes(_BY_BITS).astype(np.uint8)


class Codec:
    """One law: `decode` takes a payload of n bytes to n samples, `encode` the reverse."""

    def __init__(self, decode: Samples, encode: npt.NDArray[np.uint8]) -> None:
        self._decode, self._encode = decode, encode
        self.silence: Final = bytes([int(encode[0])])

    def decode(self, payload: bytes) -> Samples:
        return self._decode[np.frombuffer(payload, dtype=np.uint8)]

    def encode(self, samples: Samples) -> bytes:
        return self._encode[samples.view(np.uint16)].tobytes()


ULAW: Final = Codec(_ULAW_DECODE, _ULAW_ENCODE)
ALAW: Final = Codec(_ALAW_DECODE, _ALAW_ENCODE)
CODECS: Final = {"PCMU/8000": ULAW, "PCMA/8000": ALAW}
