"""One ear of the chain: what it must be able to do, and an open stream of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from livekit import rtc
from livekit.agents import stt, utils
from switchboard.contracts.providers import OFFLINE, FaultKind

from voice_agent.chains.faults import fault_of


class EarLink(Protocol):
    """One ear. ``deadline``: seconds from the caller's end of speech to the transcript."""

    @property
    def endpoint(self) -> str: ...

    @property
    def deadline(self) -> float: ...

    def listen(self, on_settled: Callable[[], None]) -> stt.RecognizeStream:
        """A new stream, mono at ``RATE``. ``on_settled`` is called when all that was flushed has been answered."""


class Owner(Protocol):
    """Who opened a line: is told what it heard, that it has answered all that was flushed, and that it broke."""

    def on_event(self, line: Line, event: stt.SpeechEvent) -> None: ...

    def on_settled(self, line: Line) -> None: ...

    def on_failed(self, line: Line, kind: FaultKind) -> None: ...


class Line:
    """An open stream of one link.

    ``early`` flushes, made in pauses, have not been answered yet. The caller has gone on since the ``stale`` ones of them:
    their answers, of which ``partial`` finals are still to be read, can't be all that was said.
    """

    def __init__(self, link: EarLink, owner: Owner) -> None:
        self.link = link
        self.early = self.stale = self.partial = 0
        self._flushed_early = False
        self._owner = owner
        self.stream = link.listen(self._settled)
        self._reader = asyncio.create_task(self._read(), name="ear")

    def push(self, frame: rtc.AudioFrame) -> None:
        if not self._reader.done():
            try:
                self.stream.push_frame(frame)
            except RuntimeError:
                return  # it has just ended; the reader tells why

    def flush(self) -> None:
        if not self._reader.done():
            try:
                self.stream.flush()
            except RuntimeError:
                return

    def flush_early(self) -> None:
        """In a pause. Not for the offline ear, which hears whole pieces better."""
        if self.link.endpoint != OFFLINE:
            self.early += 1
            self._flushed_early = True
            self.flush()

    @property
    def answered_early(self) -> bool:
        """Whether all that was asked for in pauses has come."""
        return self._flushed_early and not self.early

    def begin_piece(self) -> None:
        """The caller begins to speak: what was asked for before has no part in it."""
        self._flushed_early = False
        self.partial = 0

    def went_on(self) -> None:
        """The caller speaks again."""
        self.stale = self.early

    def _settled(self) -> None:
        if self.early:
            self.early -= 1
            if self.stale:
                self.stale -= 1
                self.partial += 1
                return
        self._owner.on_settled(self)

    def takes_partial(self) -> bool:
        """Whether the final that has just come answers a stale flush."""
        if not self.partial:
            return False
        self.partial -= 1
        return True

    async def _read(self) -> None:
        try:
            async for event in self.stream:
                self._owner.on_event(self, event)
        except Exception as error:  # whatever a client raises, the next link gets the work
            self._owner.on_failed(self, fault_of(error))
        else:
            self._owner.on_failed(self, "reset")

    async def aclose(self) -> None:
        await utils.aio.cancel_and_wait(self._reader)
        await self.stream.aclose()
