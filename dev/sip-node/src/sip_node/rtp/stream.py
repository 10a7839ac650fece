"""The media of one call: RTP on one side, 20 ms frames of linear audio on the other."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from sip_node.rtp.g711 import CODECS, FRAME, Samples
from sip_node.rtp.packet import DIGITS, DtmfEvent, RtpPacket, unpack, unpack_event
from sip_node.rtp.ports import RtpSocket
from sip_node.rtp.timeline import Timeline
from sip_node.sip.message import Address
from sip_node.sip.sdp import Offer

_PRIME: Final = 2
_IN_TIME: Final = 3
_MAX_QUEUED: Final = 12
_QUIET: Final = 100  # of 32767: a pause between words
_EVENT_FRAMES: Final = 12  # 240 ms of a key, then as long a pause
_MAX_DIGITS: Final = 64
_PAUSE: Final = "w"
_PAUSE_FRAMES: Final = 25  # 0.5 s


class Mixer:
    """Sums the tracks of a room into one stream, each through a queue that starts playing at 2 frames. A queue of more
    than 3 is late and catches up where the speaker pauses; beyond 12 the oldest frame is dropped."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Samples]] = {}
        self._playing: set[str] = set()

    def add(self, track: str, frame: Samples) -> None:
        """One frame of 160 samples."""
        queue = self._queues.setdefault(track, deque(maxlen=_MAX_QUEUED))
        queue.append(frame)
        if len(queue) >= _PRIME:
            self._playing.add(track)

    def remove(self, track: str) -> None:
        self._queues.pop(track, None)
        self._playing.discard(track)

    def get(self) -> Samples | None:
        """The mix of what is due now, None when that is silence."""
        due = []
        for track in tuple(self._playing):
            queue = self._queues[track]
            while len(queue) > _IN_TIME and _is_quiet(queue[0]):
                queue.popleft()
            if queue:
                due.append(queue.popleft())
            else:
                self._playing.discard(track)
        if not due:
            return None
        if len(due) == 1:
            return due[0]
        total = np.zeros(FRAME, dtype=np.int32)
        for frame in due:
            total += frame
        return np.clip(total, -32767, 32767).astype(np.int16)


def _is_quiet(frame: Samples) -> bool:
    return bool(frame.max() < _QUIET and frame.min() > -_QUIET)


class MediaStream:
    """Reads and writes one call's RTP. `on_audio` gets the caller's audio as it comes (any number of samples), `on_digit`
    each key once; `send` is off until `enable_output`. While `instead` is set, the far side hears the frames it gives
    (None: silence) and not the room."""

    def __init__(
        self,
        rtp: RtpSocket,
        offer: Offer,
        rng: random.Random,
        on_audio: Callable[[Samples], None],
        on_digit: Callable[[DtmfEvent], None],
        mixer: Mixer | None = None,
    ) -> None:
        self.mixer = mixer or Mixer()
        self.instead: Callable[[], Samples | None] | None = None
        self.digits_played = asyncio.Event()
        self.first_packet = asyncio.Event()
        self.last_packet: float | None = None
        self.packets_in = 0
        self.packets_out = 0
        self._timeline = Timeline()
        self._rtp, self._offer = rtp, offer
        self._on_audio, self._on_digit = on_audio, on_digit
        self._codec = CODECS[offer.codec]
        self._described: Address = offer.remote
        self._destination: Address = offer.remote
        self._latched = False
        self._left: Address | None = None
        self._sending = False
        self._digits: deque[str] = deque(maxlen=_MAX_DIGITS)
        self._digit_frame = 0
        self._digit_timestamp = 0
        self._last_event_timestamp: int | None = None
        self._sequence, self._timestamp = rng.getrandbits(16), rng.getrandbits(32)
        self._ssrc = rng.getrandbits(32)
        self._loop = asyncio.get_running_loop()
        rtp.on_packet = self._receive

    def enable_output(self) -> None:
        """From the answer on the caller gets audio, silence included."""
        self._sending = True

    def set_remote(self, remote: Address) -> None:
        """A re-INVITE moved the caller's media: follow it, and latch to the first source other than the old one."""
        if remote != self._described:
            self._left = self._destination
            self._described, self._destination, self._latched = remote, remote, False

    def play_digits(self, digits: str) -> None:
        """Send keys to the far side as RFC 4733 events, `w` being half a second's pause; ignored when telephone-event was
        not offered. `digits_played` is set when all are out."""
        self.digits_played.clear()
        if self._offer.dtmf_type is not None:
            self._digits.extend(digit for digit in digits.lower() if digit in DIGITS or digit == _PAUSE)
        if not self._digits:
            self.digits_played.set()

    def tick(self) -> None:
        """Every 20 ms: one packet to the caller; silence to the room while the caller sends nothing."""
        self._pass_on(self._timeline.tick())
        if not self._sending:
            return
        if self._digits:
            self._send_event()
        else:
            mixed = self.mixer.get()
            frame = mixed if self.instead is None else self.instead()
            payload = self._codec.silence * FRAME if frame is None else self._codec.encode(frame)
            self._send(self._offer.payload_type, payload, self._timestamp, marker=self.packets_out == 0)
        self._timestamp = (self._timestamp + FRAME) % 2**32

    def _send_event(self) -> None:
        self.mixer.get()  # audio goes on underneath and is not heard while a key sounds
        if self._digit_frame == 0:
            self._digit_timestamp = self._timestamp
        self._digit_frame += 1
        pause = self._digits[0] == _PAUSE
        if self._digit_frame <= _EVENT_FRAMES and not pause:
            end = self._digit_frame == _EVENT_FRAMES
            event = DtmfEvent(DIGITS.index(self._digits[0]), self._digit_frame * FRAME, end)
            # The end is sent three times (RFC 4733 section 2.5.1.4): one lost packet must not hold the key down.
            for _ in range(3 if end else 1):
                self._send(self._offer.dtmf_type or 0, event.pack(), self._digit_timestamp, self._digit_frame == 1)
        elif self._digit_frame >= (_PAUSE_FRAMES if pause else 2 * _EVENT_FRAMES):
            self._digits.popleft()
            self._digit_frame = 0
            if not self._digits:
                self.digits_played.set()

    def _send(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> None:
        packet = RtpPacket(payload_type, self._sequence, timestamp, self._ssrc, payload, marker)
        self._sequence = (self._sequence + 1) % 2**16
        self.packets_out += 1
        self._rtp.send(packet.pack(), self._destination)

    def _receive(self, data: bytes, source: Address) -> None:
        packet = unpack(data)
        if packet is None:
            return
        if source == self._left:
            return  # what the old place still sends must not be latched to again
        if not self._latched:
            # The description often names an address that doesn't route here (NAT, several interfaces).
            self._destination, self._latched = source, True
        elif source != self._destination:
            return
        self.packets_in += 1
        self.last_packet = self._loop.time()
        self.first_packet.set()
        if packet.payload_type == self._offer.payload_type:
            self._pass_on(self._timeline.put(packet.timestamp, self._codec.decode(packet.payload)))
        elif packet.payload_type == self._offer.dtmf_type:
            self._event(packet)

    def _pass_on(self, samples: Samples) -> None:
        if len(samples):
            self._on_audio(samples)

    def _event(self, packet: RtpPacket) -> None:
        # All packets of one key share its timestamp, so the first one reports it and the rest are repetitions.
        if packet.timestamp == self._last_event_timestamp:
            return
        event = unpack_event(packet.payload)
        if event is not None:
            self._last_event_timestamp = packet.timestamp
            self._on_digit(event)
