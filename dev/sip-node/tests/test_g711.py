"""The tables against values of ITU-T G.711 and against the formula."""

from __future__ import annotations

import numpy as np
import pytest
from sip_node.rtp.g711 import ALAW, ULAW, Codec
from sip_node.testing.media import from_mulaw, mulaw

pytestmark = pytest.mark.unit

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)


@pytest.mark.parametrize(
    ("codec", "code", "sample"),
    [
        (ULAW, 0xFF, 0),
        (ULAW, 0x7F, 0),
        (ULAW, 0x00, -32124),
        (ULAW, 0x80, 32124),
        (ULAW, 0xFE, 8),
        (ULAW, 0x7E, -8),
        (ULAW, 0xCE, 988),
        (ALAW, 0xD5, 8),
        (ALAW, 0x55, -8),
        (ALAW, 0xAA, 32256),
        (ALAW, 0x2A, -32256),
        (ALAW, 0xFA, 1008),
        (ALAW, 0x7A, -1008),
    ],
)
def test_known_codes(codec: Codec, code: int, sample: int) -> None:
    assert codec.decode(bytes([code])).tolist() == [sample]


@pytest.mark.parametrize("codec", [ULAW, ALAW])
def test_each_code_survives_a_round_trip(codec: Codec) -> None:
    codes = bytes(range(256))
    again = codec.encode(codec.decode(codes))
    # mu-law has two zeros; the negative one comes back as the positive.
    assert [a for a, b in zip(codes, again, strict=True) if a != b] == ([0x7F] if codec is ULAW else [])


@pytest.mark.parametrize("codec", [ULAW, ALAW])
def test_error_is_small_and_the_sign_kept(codec: Codec) -> None:
    decoded = codec.decode(codec.encode(EVERY_SAMPLE)).astype(np.int64)
    wide = EVERY_SAMPLE.astype(np.int64)
    inside = np.abs(wide) <= 32000
    assert np.all(np.abs(decoded - wide)[inside] <= np.maximum(8, np.abs(wide)[inside] / 16))
    loud = np.abs(wide) > 16
    assert np.all(np.sign(decoded[loud]) == np.sign(wide[loud]))


def test_mulaw_agrees_with_the_formula() -> None:
    assert ULAW.encode(EVERY_SAMPLE) == mulaw(EVERY_SAMPLE)
    assert ULAW.decode(bytes(range(256))).tolist() == from_mulaw(bytes(range(256))).tolist()


def test_silence() -> None:
    assert (ULAW.silence, ALAW.silence) == (b"\xff", b"\xd5")
