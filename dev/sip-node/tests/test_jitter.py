"""Sixty milliseconds of patience, keyed by timestamp."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sip_node.rtp.jitter import DELAY, FRAME, JitterBuffer

pytestmark = pytest.mark.unit


def ramp(index: int, size: int = FRAME) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Frame `index` of a signal whose every sample is its own number (from 1)."""
    return (np.arange(index * size, (index + 1) * size) % 30000 + 1).astype(np.int16)


def play(buffer: JitterBuffer, frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.concatenate([buffer.get() for _ in range(frames)])


def expected(count: int) -> list[int]:
    return [0] * DELAY + (np.arange(count) % 30000 + 1).tolist()


@pytest.mark.parametrize("start", [0, 1000, 2**32 - 3 * FRAME])
def test_steady_stream_comes_out_whole(start: int) -> None:
    buffer, out = JitterBuffer(), []
    for index in range(50):
        buffer.put((start + index * FRAME) % 2**32, ramp(index))
        out.append(buffer.get())
    heard = np.concatenate(out).tolist()
    assert heard == expected(50 * FRAME)[: len(heard)]
    assert buffer.late_packets == buffer.resyncs == 0


@pytest.mark.parametrize("size", [80, 240, 320, 480])
def test_other_packet_lengths(size: int) -> None:
    buffer, out, sent = JitterBuffer(), [], 0
    for tick in range(60):
        while sent * size <= tick * FRAME:
            buffer.put(5000 + sent * size, ramp(sent, size))
            sent += 1
        out.append(buffer.get())
    heard = np.concatenate(out).tolist()
    assert heard == expected(60 * FRAME)[: len(heard)]


def test_order_does_not_matter_within_the_delay() -> None:
    buffer, rng = JitterBuffer(), random.Random(1)
    out = []
    for block in range(0, 30, 3):
        order = [block, block + 1, block + 2]
        if block:
            rng.shuffle(order)
        for index in order:
            buffer.put(index * FRAME, ramp(index))
        out += [buffer.get() for _ in range(3)]
    heard = np.concatenate(out).tolist()
    assert heard == expected(30 * FRAME)[: len(heard)]


def test_lost_packets_are_silence_and_shift_nothing() -> None:
    buffer, out = JitterBuffer(), []
    for index in range(20):
        if index not in (7, 8):
            buffer.put(index * FRAME, ramp(index))
        out.append(buffer.get())
    heard = np.concatenate(out)
    frames = heard.reshape(-1, FRAME)
    lost = DELAY // FRAME + 7
    assert not frames[lost].any()
    assert not frames[lost + 1].any()
    assert frames[lost + 2].tolist() == ramp(9).tolist()


def test_doubled_packets_change_nothing() -> None:
    buffer, out = JitterBuffer(), []
    for index in range(10):
        for _ in range(2):
            buffer.put(index * FRAME, ramp(index))
        out.append(buffer.get())
    assert np.concatenate(out).tolist() == expected(10 * FRAME)[: 10 * FRAME]


def test_late_packets_are_dropped_and_counted() -> None:
    buffer = JitterBuffer()
    for index in range(6):
        buffer.put(index * FRAME, ramp(index))
        buffer.get()
    buffer.put(0, ramp(9))
    assert buffer.late_packets == 1
    assert buffer.get().tolist() == ramp(3).tolist()


def test_a_pause_of_the_sender_keeps_the_delay() -> None:
    buffer = JitterBuffer()
    for index in range(5):
        buffer.put(index * FRAME, ramp(index))
        buffer.get()
    assert not play(buffer, 40)[4 * FRAME :].any()
    buffer.put(20 * FRAME, ramp(20))  # the clock went on, the packets were late by far: a new talk spurt
    heard = play(buffer, 4)
    assert not heard[:DELAY].any()
    assert heard[DELAY:].tolist() == ramp(20).tolist()
    assert buffer.resyncs == 1


def test_a_jump_of_the_timestamps_starts_afresh() -> None:
    buffer = JitterBuffer()
    buffer.put(0, ramp(0))
    buffer.put(3_000_000_000, ramp(1))
    assert play(buffer, 4)[DELAY:].tolist() == ramp(1).tolist()


def test_a_fast_sender_does_not_add_delay_for_ever() -> None:
    buffer = JitterBuffer()
    for index in range(300):
        buffer.put(index * FRAME, ramp(index))
        if index % 10:
            buffer.get()
    assert buffer.depth <= DELAY + 6 * FRAME


@pytest.mark.parametrize("size", [0, 9000])
def test_absurd_payloads_are_ignored(size: int) -> None:
    buffer = JitterBuffer()
    buffer.put(0, np.ones(size, dtype=np.int16))
    assert not buffer.started
