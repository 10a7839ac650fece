"""A sentence that is spoken before it is known to be wanted: the greeting while it rings, an answer during a pause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from livekit import rtc


class Prepared:
    """Sound of one sentence by one voice, made in the background and kept until somebody takes it."""

    def __init__(self, endpoint: str, sentence: str, sound: AsyncGenerator[rtc.AudioFrame, None]) -> None:
        self.endpoint = endpoint
        self.sentence = sentence
        self._made: asyncio.Queue[rtc.AudioFrame | BaseException] = asyncio.Queue()
        self._making = asyncio.create_task(self._make(sound), name="speak ahead")

    async def _make(self, sound: AsyncGenerator[rtc.AudioFrame, None]) -> None:
        try:
            async with aclosing(sound) as frames:
                async for frame in frames:
                    self._made.put_nowait(frame)
        except Exception as error:  # it is raised where the sound is wanted, if it ever is
            self._made.put_nowait(error)
        else:
            self._made.put_nowait(StopAsyncIteration())

    async def frames(self) -> AsyncGenerator[rtc.AudioFrame, None]:
        """What is there already at once, then the rest as it is made; raises what the voice raised."""
        try:
            while True:
                made = await self._made.get()
                if isinstance(made, StopAsyncIteration):
                    return
                if isinstance(made, BaseException):
                    raise made
                yield made
        finally:
            self.drop()

    def drop(self) -> None:
        """Nobody wants it."""
        self._making.cancel()


class Shelf:
    """At most one prepared sentence: a new one takes the old one's place."""

    def __init__(self) -> None:
        self._held: Prepared | None = None

    def speak_ahead(
        self, endpoint: str, sentence: str, speak: Callable[[], AsyncGenerator[rtc.AudioFrame, None]]
    ) -> None:
        """Begins; nothing when this very sentence is there already."""
        held = self._held
        if held is not None and (held.endpoint, held.sentence) == (endpoint, sentence):
            return
        self.clear()
        self._held = Prepared(endpoint, sentence, speak())

    def take(self, endpoint: str, sentence: str) -> Prepared | None:
        """The sentence in that voice, once."""
        held = self._held
        if held is None or (held.endpoint, held.sentence) != (endpoint, sentence):
            return None
        self._held = None
        return held

    def clear(self) -> None:
        if self._held is not None:
            self._held.drop()
            self._held = None
