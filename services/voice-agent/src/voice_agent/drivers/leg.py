"""The caller's leg in a room: when it is active, when it has gone, and when it only seems so.

When our own connection to LiveKit breaks, the SDK joins anew, and first says of everybody that they have left. The caller is
still on the line then, so such a leaving counts only when they are not back in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from livekit import rtc
from switchboard.contracts.calls import EndReason
from switchboard.sip import is_active

_log = structlog.get_logger(__name__)

BACK_SECONDS = 25.0
"""How long a leg that was lost may take to come back: ten seconds of outage, and the SDK's pauses between its tries."""

HEARD_SECONDS = 5.0
"""How long after that there may be nothing to hear of it, not even silence: then only one side has found back."""

_Reason = rtc.DisconnectReason
LOST = frozenset(
    {
        None,  # unknown: also what the SDK says of everybody when it joins anew
        _Reason.SERVER_SHUTDOWN,
        _Reason.STATE_MISMATCH,
        _Reason.JOIN_FAILURE,
        _Reason.MIGRATION,
        _Reason.SIGNAL_CLOSE,
        _Reason.CONNECTION_TIMEOUT,
        _Reason.MEDIA_FAILURE,
    }
)
"""Reasons with which nobody hangs up. A SIP BYE or CANCEL arrives as CLIENT_INITIATED."""


class Leg:
    """``on_gone`` is called once, with the reason, when the caller is not there any more."""

    def __init__(self, room: rtc.Room, caller: rtc.RemoteParticipant, on_gone: Callable[[EndReason], None]) -> None:
        self._room = room
        self._caller = caller
        self._on_gone = on_gone
        self._back: asyncio.TimerHandle | None = None
        self._sid = ""
        self._heard = False
        self._checking: asyncio.Task[None] | None = None
        self.active = asyncio.Event()
        """The caller can hear us."""
        self.gone = False

    @property
    def there(self) -> bool:
        """Neither gone nor, for all we know, cut off."""
        return not self.gone and self._back is None

    async def watch(self) -> None:
        """From now on, and for what has happened already."""
        self._sid = await self._room.sid
        self._room.on("participant_attributes_changed", self._on_attributes)
        self._room.on("participant_disconnected", self._on_left)
        self._room.on("participant_connected", self._on_joined)
        self._room.on("track_published", self._on_published)
        self._room.on("reconnected", self._hear_again)
        self._room.on("disconnected", self._on_disconnected)
        is_phone = self._caller.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
        if not is_phone or is_active(self._caller.attributes):
            self.active.set()
        if self._caller.identity not in self._room.remote_participants:
            self._go(EndReason.CALLER_HUNG_UP)

    def hears(self) -> None:
        """A piece of the caller's sound has come."""
        self._heard = True

    def close(self) -> None:
        """Stop waiting for anything."""
        self._stop_waiting()
        if self._checking is not None:
            self._checking.cancel()

    def _on_attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == self._caller.identity and is_active(participant.attributes):
            self.active.set()

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self._caller.identity or self.gone:
            return
        if participant.disconnect_reason not in LOST:
            self._go(EndReason.CALLER_HUNG_UP)
        elif self._back is None:
            _log.warning("the caller's leg is out of sight")
            loop = asyncio.get_running_loop()
            self._back = loop.call_later(BACK_SECONDS, lambda: self._go(EndReason.MEDIA_LOST))

    def _on_joined(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._caller.identity and self._back is not None:
            self._checking = asyncio.create_task(self._same_room(), name="same room")

    async def _same_room(self) -> None:
        """A server that was restarted has made another room of this name: its call is another one, with its own agent."""
        if await self._room.sid != self._sid:
            self._go(EndReason.MEDIA_LOST)
            return
        self._hear_again()
        self._stop_waiting()
        self._heard = False
        await asyncio.sleep(HEARD_SECONDS)
        _log.info("the caller's leg is back", heard=self._heard)
        if not self._heard:
            self._go(EndReason.MEDIA_LOST)

    def _hear_again(self) -> None:
        """Whoever joined anew is subscribed to nothing: their track may be there already, or be published just after.

        What is asked for before "reconnected" the SDK drops without a word, so that it is asked for again then.
        """
        there = self._room.remote_participants.get(self._caller.identity)
        for publication in there.track_publications.values() if there is not None else ():
            self._subscribe(publication)

    def _on_published(self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._caller.identity:
            self._subscribe(publication)

    def _subscribe(self, publication: rtc.RemoteTrackPublication) -> None:
        if publication.kind == rtc.TrackKind.KIND_AUDIO and not publication.subscribed:
            publication.set_subscribed(True)

    def _on_disconnected(self, reason: object) -> None:
        """We lost the room for good while the caller was in it."""
        self._go(EndReason.MEDIA_LOST)

    def _go(self, why: EndReason) -> None:
        if self.gone:
            return
        self.gone = True
        self._stop_waiting()
        self._on_gone(why if self.active.is_set() else EndReason.CALLER_CANCELLED)

    def _stop_waiting(self) -> None:
        if self._back is not None:
            self._back.cancel()
            self._back = None
