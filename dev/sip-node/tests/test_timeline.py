"""The caller's packets, keyed by timestamp, go on as they come."""

from __future__ import annotations

import numpy as np
import pytest
from sip_node.rtp.g711 import FRAME, Samples
from sip_node.rtp.timeline import PATIENCE, Timeline

pytestmark = pytest.mark.unit

PATIENT_TICKS = (FRAME + PATIENCE) // FRAME


def ramp(index: int, size: int = FRAME) -> Samples:
    """Frame `index` of a signal whose every sample is its own number (from 1)."""
    return (np.arange(index * size, (index + 1) * size) % 30000 + 1).astype(np.int16)


def ticks(timeline: Timeline, count: int) -> Samples:
    """All that so many ticks give."""
    return np.concatenate([timeline.tick() for _ in range(count)])


@pytest.mark.parametrize("start", [0, 1000, 2**32 - 3 * FRAME])
@pytest.mark.parametrize("size", [80, 160, 240, 320, 480, 800])
def test_a_steady_stream_goes_on_at_once_and_whole(start: int, size: int) -> None:
    timeline, sent = Timeline(), 0
    for tick in range(60):
        while sent * size <= tick * FRAME:
            heard = timeline.put((start + sent * size) % 2**32, ramp(sent, size))
            assert heard.tolist() == ramp(sent, size).tolist()
            sent += 1
        assert not len(timeline.tick())


@pytest.mark.parametrize("start", [0, 2**32 - 8 * FRAME])
def test_lost_packets_are_silence_and_shift_nothing(start: int) -> None:
    timeline = Timeline()
    arrived = [index for index in range(20) if index not in (7, 8)]
    frames = np.concatenate([timeline.put((start + index * FRAME) % 2**32, ramp(index)) for index in arrived])
    frames = frames.reshape(-1, FRAME)
    assert not frames[7:9].any()
    assert frames[arrived].tolist() == [ramp(index).tolist() for index in arrived]
    assert len(frames) == 20


def test_what_comes_late_and_at_once_goes_on_whole() -> None:
    """The sender, or this process, stood still: whoever listens makes up for it, so nothing may be lost here."""
    timeline = Timeline()
    timeline.put(0, ramp(0))
    silence = ticks(timeline, PATIENT_TICKS + 7)
    assert len(silence) == 7 * FRAME
    assert not silence.any()
    heard = np.concatenate([timeline.put(index * FRAME, ramp(index)) for index in range(1, 12)])
    assert heard.tolist() == np.concatenate([ramp(index) for index in range(1, 12)]).tolist()


def test_a_pause_of_the_sender_lasts_as_long_in_the_room() -> None:
    """Its clock goes on: silence comes in real time, and the rest of it before the next packet."""
    timeline = Timeline()
    timeline.put(0, ramp(0))
    silence = ticks(timeline, 40)
    heard = timeline.put(41 * FRAME, ramp(41))
    assert len(silence) == (40 - PATIENT_TICKS) * FRAME
    assert len(silence) + len(heard) == 41 * FRAME
    assert not silence.any()
    assert not heard[:-FRAME].any()
    assert heard[-FRAME:].tolist() == ramp(41).tolist()


def test_after_each_pause_patience_begins_anew() -> None:
    timeline = Timeline()
    for index in range(3):
        heard = timeline.put(index * 20 * FRAME, ramp(index))
        assert len(heard) == (18 * FRAME if index else FRAME)
        assert not len(ticks(timeline, PATIENT_TICKS))
        assert len(ticks(timeline, 2)) == 2 * FRAME


def test_what_comes_after_its_successor_is_dropped() -> None:
    timeline = Timeline()
    heard = np.concatenate([timeline.put(index * FRAME, ramp(index)) for index in (0, 1, 3, 2, 4)])
    frames = heard.reshape(-1, FRAME)
    assert not frames[2].any()
    assert frames[[0, 1, 3, 4]].tolist() == [ramp(index).tolist() for index in (0, 1, 3, 4)]
    assert len(frames) == 5


@pytest.mark.parametrize("start", [0, 2**32 - 3 * FRAME])
def test_doubled_packets_change_nothing(start: int) -> None:
    timeline = Timeline()
    packets = [((start + index * FRAME) % 2**32, ramp(index)) for index in range(6) for _ in range(2)]
    heard = np.concatenate([timeline.put(*packet) for packet in packets])
    assert heard.tolist() == np.concatenate([ramp(index) for index in range(6)]).tolist()


def test_old_packets_are_no_sign_of_life() -> None:
    """A sender that repeats itself pauses all the same."""
    timeline, heard = Timeline(), []
    timeline.put(0, ramp(0))
    for _ in range(PATIENT_TICKS + 5):
        heard += [timeline.tick(), timeline.put(0, ramp(0))]
    assert np.concatenate(heard).tolist() == [0] * (5 * FRAME)


def test_a_packet_that_overlaps_is_cut() -> None:
    timeline = Timeline()
    timeline.put(0, ramp(0))
    assert timeline.put(FRAME // 2, ramp(5)).tolist() == ramp(5)[FRAME // 2 :].tolist()


@pytest.mark.parametrize("jump", [3_000_000_000, 2**32 - 60 * FRAME, 60 * FRAME])
def test_a_jump_of_the_timestamps_starts_afresh(jump: int) -> None:
    timeline = Timeline()
    timeline.put(0, ramp(0))
    assert timeline.put(jump, ramp(1)).tolist() == ramp(1).tolist()
    assert timeline.put((jump + FRAME) % 2**32, ramp(2)).tolist() == ramp(2).tolist()


@pytest.mark.parametrize("size", [0, 9000])
def test_absurd_payloads_are_ignored(size: int) -> None:
    timeline = Timeline()
    assert not len(timeline.put(0, np.ones(size, dtype=np.int16)))
    assert not len(ticks(timeline, 20))


def test_nothing_is_heard_before_the_first_packet() -> None:
    assert not len(ticks(Timeline(), 20))
