"""The contexts of one /tts/websocket connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMsgType, web
from voice_agent.offline.voice import VoiceSettings

from emulators.behaviour import Flow
from emulators.context import Context
from emulators.protocols import cartesia_messages as messages
from emulators.protocols.cartesia_messages import Cancel, Generate, GenerationConfig, Wrong
from emulators.speech import Voices, at_speed, utter
from emulators.wire import SocketWire

_ENDS = (".", "!", "?", ":", ";")


class Speaking:
    """One context. The first request fixes its shape; the others add to its text."""

    def __init__(self, first: Generate, voice: VoiceSettings, flow: Flow) -> None:
        self.first = first
        self.voice = voice
        self.flow = flow
        # text to speak; a number for the flush that it ends; None for the end
        self.parts: asyncio.Queue[str | int | None] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None
        self.ended = False
        self._buffer = ""
        self._flushes = 0

    def add(self, request: Generate) -> None:
        """Takes a request's text. Whole sentences are spoken at once, the rest when its sentence ends or is flushed."""
        self._buffer += request.transcript
        last = not request.continue_
        at_once = request.max_buffer_delay_ms == 0 or self._buffer.rstrip().endswith(_ENDS)
        if (last or request.flush or at_once) and self._buffer.strip():
            self.parts.put_nowait(self._buffer)
            self._buffer = ""
        if request.flush:
            self._flushes += 1
            self.parts.put_nowait(self._flushes)
        if last:
            self.ended = True
            self.parts.put_nowait(None)


class Contexts:
    """Serves one client until it goes."""

    def __init__(self, context: Context, voices: Voices, version: str, wire: SocketWire) -> None:
        self._context = context
        self._voices = voices
        self._version = version
        self._wire = wire
        self._open: dict[str, Speaking] = {}

    async def run(self, socket: web.WebSocketResponse) -> None:
        """Returns when the connection is over. A wrong request gets an error; the connection stays."""
        tasks: list[asyncio.Task[None]] = []
        try:
            async for received in socket:
                if received.type != WSMsgType.TEXT:
                    return
                identity: str | None = None
                try:
                    raw = _json(received.data)
                    identity = raw.get("context_id")
                    self._take(raw, tasks)
                except Wrong as wrong:
                    self._context.record.refused("cartesia", "message", str(wrong))
                    await self._wire.send(messages.error(wrong, self._version, identity))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, raw: dict[str, Any], tasks: list[asyncio.Task[None]]) -> None:
        if "cancel" in raw:
            cancelled = self._open.pop(messages.read(Cancel, raw).context_id, None)
            if cancelled is not None and cancelled.task is not None:
                cancelled.task.cancel()
            return
        request = messages.read(Generate, raw)
        messages.check(request)
        speaking = self._open.get(request.context_id)
        if speaking is None or speaking.ended:
            speaking = self._begin(request)
            assert speaking.task is not None
            tasks.append(speaking.task)
        elif request.shape() != speaking.first.shape():
            raise Wrong("All fields but transcript, continue and flush must stay the same within a context.")
        speaking.add(request)

    def _begin(self, request: Generate) -> Speaking:
        voice = self._voices.get(request.voice.id)
        if voice is None:
            raise messages.voice_not_found(request.voice.id)
        flow = self._context.behaviours.begin("cartesia")
        fields = request.model_dump(mode="json", by_alias=True, exclude_none=True)
        self._context.record.request("cartesia", "context", fields, flow.fault.kind if flow.fault else None)
        tuned = at_speed(voice, (request.generation_config or GenerationConfig()).speed)
        speaking = self._open[request.context_id] = Speaking(request, tuned, flow)
        speaking.task = asyncio.create_task(self._speak(request.context_id, speaking), name="cartesia context")
        return speaking

    async def _speak(self, identity: str, speaking: Speaking) -> None:
        # an error is of its context; the connection and its other contexts go on
        wire = self._wire.refusing(
            lambda fault: (messages.error(messages.of_fault(fault), self._version, identity), None, b"")
        )
        if await speaking.flow.play(self._sound(identity, speaking), wire):
            await self._wire.send(messages.done(identity))
        if self._open.get(identity) is speaking:
            del self._open[identity]

    async def _sound(self, identity: str, speaking: Speaking) -> AsyncIterator[dict[str, Any]]:
        began, rate = 0.0, speaking.first.output_format.sample_rate
        while (part := await speaking.parts.get()) is not None:
            if isinstance(part, int):
                yield messages.flush_done(identity, part)
                continue
            async for sentence in utter(part, speaking.voice, rate):
                for at, piece in enumerate(sentence.pieces()):
                    yield messages.chunk(identity, piece)
                    if at == 0 and speaking.first.add_timestamps:
                        yield messages.timestamps(identity, sentence, began)
                began += sentence.seconds


def _json(raw: str) -> dict[str, Any]:
    try:
        read = json.loads(raw)
    except ValueError:
        raise Wrong("The message is not valid JSON.") from None
    if not isinstance(read, dict):
        raise Wrong("The message must be an object.")
    return read
