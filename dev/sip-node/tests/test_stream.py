"""One call's media without a socket."""

from __future__ import annotations

import random
from typing import Any, cast

import numpy as np
import pytest
from sip_node.rtp.g711 import ULAW
from sip_node.rtp.packet import DtmfEvent, RtpPacket, unpack, unpack_event
from sip_node.rtp.ports import RtpSocket
from sip_node.rtp.stream import MediaStream, Mixer
from sip_node.rtp.tones import RingingTone
from sip_node.sip.sdp import Offer

pytestmark = pytest.mark.unit

CALLER = ("192.0.2.7", 4000)
OFFER = Offer(remote=CALLER, codec="PCMU/8000", payload_type=0, dtmf_type=101, session_id=1)
ONES = np.full(160, 1000, dtype=np.int16)


class FakeSocket:
    def __init__(self) -> None:
        self.on_packet: Any = None
        self.sent: list[tuple[RtpPacket, tuple[str, int]]] = []

    def send(self, data: bytes, destination: tuple[str, int]) -> None:
        packet = unpack(data)
        assert packet is not None
        self.sent.append((packet, destination))


class Fixture:
    def __init__(self, offer: Offer = OFFER) -> None:
        self.socket = FakeSocket()
        self.frames: list[Any] = []
        self.digits: list[DtmfEvent] = []
        self.stream = MediaStream(
            cast("RtpSocket", self.socket), offer, random.Random(1), self.frames.append, self.digits.append
        )

    def receive(self, timestamp: int, payload: bytes, source: tuple[str, int] = CALLER, kind: int = 0) -> None:
        self.socket.on_packet(RtpPacket(kind, 1, timestamp, 9, payload).pack(), source)

    @property
    def sent(self) -> list[RtpPacket]:
        return [packet for packet, _ in self.socket.sent]


async def test_nothing_is_sent_before_the_answer_and_silence_after() -> None:
    fixture = Fixture()
    fixture.stream.tick()
    assert fixture.sent == []
    fixture.stream.enable_output()
    for _ in range(3):
        fixture.stream.tick()
    first, second, third = fixture.sent
    assert first.payload == ULAW.silence * 160
    assert (first.marker, second.marker) == (True, False)
    assert (second.sequence - first.sequence) % 2**16 == (third.sequence - second.sequence) % 2**16 == 1
    assert (second.timestamp - first.timestamp) % 2**32 == 160
    assert {destination for _, destination in fixture.socket.sent} == {CALLER}


async def test_audio_goes_to_where_the_first_packet_came_from() -> None:
    fixture = Fixture()
    fixture.stream.enable_output()
    fixture.receive(0, ULAW.encode(ONES), ("198.51.100.1", 5))
    fixture.receive(160, ULAW.encode(ONES), ("203.0.113.9", 6))  # somebody else: neither heard nor answered
    fixture.stream.tick()
    assert fixture.socket.sent[-1][1] == ("198.51.100.1", 5)
    assert fixture.stream.packets_in == 1


async def test_a_reinvite_moves_the_audio_and_late_packets_do_not_move_it_back() -> None:
    fixture = Fixture()
    fixture.stream.enable_output()
    fixture.receive(0, ULAW.encode(ONES))
    fixture.stream.set_remote(("192.0.2.8", 4002))
    fixture.receive(160, ULAW.encode(ONES))
    fixture.stream.tick()
    assert fixture.socket.sent[-1][1] == ("192.0.2.8", 4002)
    fixture.receive(320, ULAW.encode(ONES), ("192.0.2.9", 4003))
    fixture.stream.tick()
    assert fixture.socket.sent[-1][1] == ("192.0.2.9", 4003)


async def test_what_the_old_place_sends_first_after_a_reinvite_does_not_hold_the_audio_there() -> None:
    """Nothing had come before the caller moved: the first packet is one that was still on its way."""
    fixture = Fixture()
    fixture.stream.enable_output()
    fixture.stream.set_remote(("192.0.2.8", 4002))
    fixture.receive(0, ULAW.encode(ONES), CALLER)
    fixture.stream.tick()
    assert fixture.socket.sent[-1][1] == ("192.0.2.8", 4002)


async def test_a_reinvite_with_the_same_address_changes_nothing() -> None:
    fixture = Fixture()
    fixture.stream.enable_output()
    fixture.receive(0, ULAW.encode(ONES), ("198.51.100.1", 5))
    fixture.stream.set_remote(CALLER)
    fixture.stream.tick()
    assert fixture.socket.sent[-1][1] == ("198.51.100.1", 5)


async def test_callers_audio_goes_on_as_it_comes_and_pauses_are_silence() -> None:
    fixture = Fixture()
    for index in range(5):
        fixture.receive(index * 160, ULAW.encode(ONES))
        fixture.stream.tick()
    assert [int(frame[0]) for frame in fixture.frames] == [int(ULAW.decode(ULAW.encode(ONES))[0])] * 5
    for _ in range(10):
        fixture.stream.tick()
    assert not np.concatenate(fixture.frames[5:]).any()
    assert len(fixture.frames) > 10


async def test_one_key_is_reported_once_whatever_the_marker() -> None:
    fixture = Fixture()
    for timestamp in (0, 0, 0, 8000, 8000):
        fixture.receive(timestamp, DtmfEvent(5, 160, False).pack(), kind=101)
    assert [event.digit for event in fixture.digits] == ["5", "5"]


async def test_keys_to_the_caller() -> None:
    fixture = Fixture()
    fixture.stream.enable_output()
    fixture.stream.play_digits("1x#")
    for _ in range(60):
        fixture.stream.tick()
    events = [(packet, unpack_event(packet.payload)) for packet in fixture.sent if packet.payload_type == 101]
    assert [event.digit for _, event in events if event and event.end] == ["1"] * 3 + ["#"] * 3
    assert len({packet.timestamp for packet, _ in events}) == 2
    assert fixture.sent[-1].payload_type == 0


async def test_keys_are_not_sent_to_a_caller_who_did_not_offer_them() -> None:
    fixture = Fixture(Offer(remote=CALLER, codec="PCMU/8000", payload_type=0, dtmf_type=None, session_id=1))
    fixture.stream.enable_output()
    fixture.stream.play_digits("1")
    fixture.stream.tick()
    assert fixture.sent[0].payload_type == 0


async def test_garbage_is_ignored() -> None:
    fixture = Fixture()
    fixture.socket.on_packet(b"\x00garbage", CALLER)
    fixture.receive(0, b"x", kind=77)
    for _ in range(10):
        fixture.stream.tick()
    assert fixture.frames == []


def test_mixer_starts_at_two_frames_and_pauses_when_empty() -> None:
    mixer = Mixer()
    mixer.add("a", ONES)
    assert mixer.get() is None
    mixer.add("a", ONES)
    first = mixer.get()
    assert first is not None
    assert first.tolist() == ONES.tolist()
    assert mixer.get() is not None
    assert mixer.get() is None
    mixer.add("a", ONES)
    assert mixer.get() is None


def test_mixer_adds_and_clips() -> None:
    mixer = Mixer()
    loud = np.full(160, 30000, dtype=np.int16)
    for track in ("a", "b"):
        mixer.add(track, loud)
        mixer.add(track, loud)
    mixed = mixer.get()
    assert mixed is not None
    assert set(mixed.tolist()) == {32767}
    mixer.remove("a")
    alone = mixer.get()
    assert alone is not None
    assert set(alone.tolist()) == {30000}


def levels(mixer: Mixer) -> list[int]:
    """The first sample of every frame until the mixer pauses."""
    frames = []
    while (frame := mixer.get()) is not None:
        frames.append(int(frame[0]))
    return frames


def test_mixer_drops_the_oldest_beyond_twelve() -> None:
    mixer = Mixer()
    for level in range(1000, 1015):
        mixer.add("a", np.full(160, level, dtype=np.int16))
    assert levels(mixer) == list(range(1003, 1015))


def test_mixer_catches_up_where_the_speaker_pauses() -> None:
    """Words are all said, however late; silence is what is left out, and a queue that is in time keeps it."""
    mixer = Mixer()
    for level in (1000, -1001, 0, 0, 0, -1002, 1003, 0, 0, 1004):
        mixer.add("a", np.full(160, level, dtype=np.int16))
    assert levels(mixer) == [1000, -1001, -1002, 1003, 0, 0, 1004]


def test_one_late_track_catches_up_alone() -> None:
    mixer = Mixer()
    for level in (0, 0, 1000, 2000, 3000):
        mixer.add("late", np.full(160, level, dtype=np.int16))
    for level in (0, 10000):
        mixer.add("in time", np.full(160, level, dtype=np.int16))
    assert levels(mixer) == [1000, 12000, 3000]


async def test_pause_between_keys_and_the_end_of_all() -> None:
    fixture = Fixture()
    fixture.stream.enable_output()
    fixture.stream.play_digits("1w2")
    ticks = 0
    while not fixture.stream.digits_played.is_set():
        fixture.stream.tick()
        ticks += 1
    assert ticks == 24 + 25 + 24
    keys = [packet for packet in fixture.sent if packet.payload_type == 101]
    first, second = sorted({packet.timestamp for packet in keys})
    assert second - first == (24 + 25) * 160
    fixture.stream.play_digits("x")
    assert fixture.stream.digits_played.is_set()


async def test_tone_instead_of_the_room() -> None:
    fixture = Fixture()
    fixture.stream.enable_output()
    fixture.stream.instead = RingingTone().frame
    for _ in range(60):
        fixture.stream.mixer.add("t", ONES)
        fixture.stream.tick()
    heard = [packet.payload != ULAW.silence * 160 for packet in fixture.sent]
    assert heard == [True] * 50 + [False] * 10
    fixture.stream.instead = None
    fixture.stream.mixer.add("t", ONES)
    fixture.stream.mixer.add("t", ONES)
    fixture.stream.tick()
    assert fixture.sent[-1].payload == ULAW.encode(ONES)
