"""The measure of speech: what is no loss, and what is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sip_node.testing.likeness import likeness
from sip_node.testing.media import Samples

pytestmark = pytest.mark.unit


def speech(seed: int = 1) -> Samples:
    """Six seconds of coloured noise in syllables, as loud and as sudden as speech."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.normal(size=48000), np.ones(8) / 8, "same")
    syllables = np.repeat(rng.choice((0.0, 0.6, 1.0), size=40, p=(0.25, 0.25, 0.5)), 1200)
    samples: Samples = (noise * syllables * 12000).astype(np.int16)
    return samples


def without(every: int) -> Callable[[Samples], Samples]:
    """Each so-many-th frame of 20 ms is silence."""

    def change(samples: Samples) -> Samples:
        frames = samples.reshape(-1, 160).copy()
        frames[::every] = 0
        return frames.ravel()

    return change


def silence(milliseconds: int) -> Samples:
    return np.zeros(8 * milliseconds, dtype=np.int16)


def test_the_same_later_and_quieter_is_whole() -> None:
    said = speech()
    found = likeness(said, np.concatenate((silence(700), said // 2, silence(500))))
    assert found.correlation > 0.99
    assert (found.lost, found.missing_ms, found.moved_ms) == (0, 0, 0)
    assert found.segments > 20


def test_what_is_delayed_within_is_moved_and_not_lost() -> None:
    """By more than a whole alignment would forgive, in three steps."""
    said = speech()
    parts = [part for at in range(0, 48000, 12000) for part in (said[at : at + 12000], silence(300))]
    found = likeness(said, np.concatenate(parts))
    assert found.correlation > 0.99
    assert found.lost <= 3  # those with the silence in them
    assert 850 <= found.moved_ms <= 950


@pytest.mark.parametrize(
    "change",
    [
        lambda said: speech(2),
        lambda said: said[::-1],
        np.negative,
        lambda said: said // 20,
        np.zeros_like,
        lambda said: said[:0],
    ],
    ids=["another", "backwards", "negated", "a twentieth as loud", "silence", "nothing"],
)
def test_other_sounds_are_no_likeness(change: Callable[[Samples], Samples]) -> None:
    found = likeness(speech(), change(speech()))
    assert found.correlation < 0.6
    assert found.lost > found.segments // 2


@pytest.mark.parametrize("every", [20, 10, 5])
def test_lost_frames_are_counted(every: int) -> None:
    found = likeness(speech(), without(every)(speech()))
    lost = 100 * found.segments / every
    assert 0.5 * lost <= found.missing_ms <= 1.5 * lost + 20


def test_a_part_that_is_missing_is_lost() -> None:
    said = speech()
    heard = said.copy()
    heard[16000:24000] = 0
    found = likeness(said, heard)
    assert 4 <= found.lost <= 10
    assert found.correlation > 0.99
