"""A caller who says nothing and measures what arrives: gaps between RTP packets, pauses in the agent's speech.

Lighter than the audible caller (baresip): many at once, and the kernel says when each packet came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from sip_node.testing.media import FRAME, RATE, CallerMedia, from_mulaw
from sip_node.testing.uac import Caller, SipMessage, SipSocket, sdp_offer

from fleet.api import Call, SwitchboardApi
from fleet.caller import CallFailed
from fleet.copies import until

PATIENCE = 60.0
"""Seconds until an agent must have spoken, on a machine that has much else to do."""

LOUD = 250.0
"""Mean amplitude of a packet that holds speech, of 32767; between words the line has 0 to 50."""


@dataclass
class ListeningCall:
    """An answered call. Times are the loop's, in seconds."""

    sip: Caller
    media: CallerMedia
    answered_at: float
    _seen: int = field(default=0, repr=False)
    _loud: list[tuple[float, bool]] = field(default_factory=list, repr=False)
    """Of each packet: when it came, whether there was speech in it."""

    @property
    def over(self) -> SipMessage | None:
        """The agent's side's BYE, once it has come."""
        return next((message for message in self.sip.heard if message.start.startswith("BYE ")), None)

    def sound(self, since: float, until: float = float("inf")) -> list[tuple[float, bool]]:
        """Of each packet of 20 ms that came between two times: when, and whether there was speech in it."""
        for packet in self.media.packets[self._seen :]:
            if packet.payload_type == 0:
                loud = np.abs(from_mulaw(packet.payload).astype(np.float64)).mean() > LOUD
                self._loud.append((packet.at, bool(loud)))
        self._seen = len(self.media.packets)
        return [one for one in self._loud if since <= one[0] <= until]

    def gap(self, since: float, until: float = float("inf")) -> float:
        """The longest time without a packet, in seconds. Sound comes every 0.02 s while a call lasts."""
        at = [when for when, _ in self.sound(since, until)]
        return float(np.max(np.diff(at))) if len(at) > 1 else float("inf")

    def pause(self, since: float, until: float = float("inf")) -> float:
        """The longest silence in what is heard, in seconds of sound: between words, sentences, or because it broke off."""
        longest = run = 0
        for _, loud in self.sound(since, until):
            run = 0 if loud else run + FRAME
            longest = max(longest, run)
        return longest / RATE

    async def until_speech(self, since: float, seconds: float = 1.0) -> None:
        """Until so much speech has been heard since then."""

        async def heard() -> bool:
            return sum(loud for _, loud in self.sound(since)) * FRAME / RATE >= seconds

        await until("the agent speaks", heard, PATIENCE)

    async def record(self, api: SwitchboardApi) -> Call:
        """The call's, as it stands."""
        return next(call for call in (await api.list_calls()).calls if call.caller == self.sip.user)

    async def closed_record(self, api: SwitchboardApi, seconds: float) -> Call:
        """The call's, once it says that the call is over."""

        async def closed() -> Call | None:
            found = await self.record(api)
            return found if found.state == "ended" else None

        return await until("the call's record is closed", closed, seconds)


async def long_greeting(api: SwitchboardApi, calls: int) -> None:
    """A clinic whose agent talks for a minute and more when it is called, by the numbers in its greeting."""
    await api.set_agent(greeting="Room 777777. " * 30, language="en", voice="en-us", max_concurrent_calls=calls)
    version = (await api.publish()).version
    number = (await api.tenant()).numbers[0].number

    async def in_force() -> bool:
        return (await api.preview(number)).configuration_version == version

    await until("the greeting is in force", in_force)


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
