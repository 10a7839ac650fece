"""A caller who says nothing and measures what arrives: gaps between RTP packets, pauses in the agent's speech.

Lighter than the audible caller (baresip): many at once, and the kernel says when each packet came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from sip_node.testing.media import FRAME, RATE, CallerMedia, Packet, from_mulaw
from sip_node.testing.uac import Caller, SipMessage, SipSocket, sdp_offer

from fleet.caller import CallFailed

LOUD = 250.0
"""Mean amplitude of a packet that holds speech, of 32767; between words the line has 0 to 50."""


@dataclass
class ListeningCall:
    """An answered call. Times are the loop's, in seconds."""

    sip: Caller
    media: CallerMedia
    answered_at: float
    _read: int = field(default=0, repr=False)

    @property
    def over(self) -> SipMessage | None:
        """The agent's side's BYE, once it has come."""
        return next((message for message in self.sip.heard if message.start.startswith("BYE ")), None)

    def packets(self, since: float, until: float = float("inf")) -> list[Packet]:
        """Audio received between two times."""
        return [packet for packet in self.media.packets if packet.payload_type == 0 and since <= packet.at <= until]

    def gap(self, since: float, until: float = float("inf")) -> float:
        """The longest time without a packet, in seconds. Sound comes every 0.02 s while a call lasts."""
        at = [packet.at for packet in self.packets(since, until)]
        if len(at) < 2:
            return float("inf")
        return float(np.max(np.diff(at)))

    def speaks(self, packet: Packet) -> bool:
        return bool(np.abs(from_mulaw(packet.payload).astype(np.float64)).mean() > LOUD)

    def pause(self, since: float, until: float = float("inf")) -> float:
        """The longest silence in what is heard, in seconds of sound: between words, sentences, or because it broke off."""
        longest = run = 0
        for packet in self.packets(since, until):
            run = 0 if self.speaks(packet) else run + len(packet.payload)
            longest = max(longest, run)
        return longest / RATE

    def spoken(self, since: float) -> float:
        """Seconds of speech heard since then."""
        return sum(self.speaks(packet) for packet in self.packets(since)) * FRAME / RATE


@asynccontextmanager
async def listening_call(
    server: tuple[str, int], number: str, caller: str, timeout: float
) -> AsyncIterator[ListeningCall]:
    """Calls `number` and sends silence until the block ends, then hangs up. CallFailed unless it is answered."""
    sockets = await SipSocket.open()
    media = await CallerMedia.open()
    try:
        sip = Caller(sockets, server, number, user=caller)
        sip.invite(sdp_offer("127.0.0.1", media.port))
        try:
            answer = await sip.answered(timeout)
        except TimeoutError as error:
            sip.cancel()
            raise CallFailed(f"the call was not answered: {error}") from None
        if answer.status != 200:
            raise CallFailed(f"the call was not answered: {answer.start}")
        media.send_to(answer.body)
        media.start_tone(0.0)
        made = ListeningCall(sip, media, answer.at)
        try:
            yield made
        finally:
            if made.over is None:
                await sip.hang_up()
    finally:
        media.close()
        sockets.close()
