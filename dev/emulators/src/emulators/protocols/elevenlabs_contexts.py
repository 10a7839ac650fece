"""The contexts of one multi-stream-input connection: each is a stream of text in and sound out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMsgType, web
from voice_agent.offline.voice import VoiceSettings

from emulators.behaviour import Flow
from emulators.context import Context
from emulators.encoding import Encoder
from emulators.protocols import elevenlabs_messages as messages
from emulators.protocols.elevenlabs_messages import (
    GenerationConfig,
    Message,
    OutputFormat,
    Query,
    VoiceTuning,
    Wrong,
)
from emulators.speech import at_speed, utter
from emulators.wire import SocketWire

MOST_CONTEXTS = 5
_DEFAULT = "default"


class Speaking:
    """One context: its text on the way in, and the task that speaks it."""

    def __init__(self, identity: str, voice: VoiceSettings, schedule: list[int], flow: Flow) -> None:
        self.identity = identity
        self.voice = voice
        self.flow = flow
        self.texts: asyncio.Queue[str | None] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None
        self.closed = False
        self._schedule = list(schedule)
        self._buffer = ""

    def add(self, text: str, *, flush: bool, auto: bool) -> None:
        """Takes text; speaks what is there when it was told to, or when there is enough of it."""
        self._buffer += text
        enough = len(self._buffer) >= self._schedule[0]
        if flush or enough or (auto and self._buffer.rstrip()[-1:] in ".!?"):
            if enough and len(self._schedule) > 1:
                self._schedule.pop(0)
            self._take()

    def _take(self) -> None:
        if self._buffer.strip():
            self.flow.asked()
            self.texts.put_nowait(self._buffer)
        self._buffer = ""

    def close(self) -> None:
        """No more text; what is there is still spoken."""
        if not self.closed:
            self.closed = True
            self._take()
            self.texts.put_nowait(None)


class Contexts:
    """Serves one client until it goes or closes the socket."""

    def __init__(
        self, context: Context, voice: VoiceSettings, query: Query, form: OutputFormat, wire: SocketWire
    ) -> None:
        self._context = context
        self._voice = voice
        self._query = query
        self._form = form
        self._wire = wire
        self._open: dict[str, Speaking] = {}

    async def run(self, socket: web.WebSocketResponse) -> None:
        """Returns when the connection is over."""
        tasks: list[asyncio.Task[None]] = []
        try:
            while True:
                try:
                    async with asyncio.timeout(self._query.inactivity_timeout):
                        received = await socket.receive()
                except TimeoutError:
                    for speaking in self._open.values():
                        speaking.close()
                    continue
                if received.type != WSMsgType.TEXT:
                    return
                if not await self._take(received.data, tasks):
                    return
        except Wrong as wrong:
            self._context.record.refused("elevenlabs", "message", str(wrong))
            await self._wire.send(wrong.message())
            await self._wire.close(1008, str(wrong).encode()[:120])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, raw: str, tasks: list[asyncio.Task[None]]) -> bool:
        """One message; False when the client closed the socket. Raises Wrong."""
        message: Message = messages.read(Message, _json(raw))
        if message.close_socket:
            for speaking in list(self._open.values()):
                speaking.close()
                await speaking.flow.over.wait()
            await self._wire.close(1000, b"")
            return False
        identity = message.context_id or _DEFAULT
        speaking_ = self._open.get(identity)
        if speaking_ is None:
            if message.close_context or message.text is None:
                return True  # of a context that is over
            speaking_ = self._begin(identity, message)
            assert speaking_.task is not None
            tasks.append(speaking_.task)
        elif message.voice_settings is not None or message.generation_config is not None:
            raise Wrong("invalid_request", "voice_settings and generation_config belong to a context's first message.")
        if message.text is not None or message.flush:
            speaking_.add(message.text or "", flush=message.flush, auto=self._query.auto_mode == "true")
        if message.close_context:
            speaking_.close()
            if speaking_.flow.over.is_set():  # stalled: nobody waits for it any more
                self._open.pop(identity, None)
        return True

    def _begin(self, identity: str, message: Message) -> Speaking:
        if len(self._open) >= MOST_CONTEXTS:
            raise Wrong(
                "max_active_conversations",
                f"Maximum simultaneous contexts per WebSocket connection exceeded ({MOST_CONTEXTS}). Please close an "
                "existing context before opening a new one.",
            )
        flow = self._context.behaviours.begin("elevenlabs")
        fields = message.model_dump(mode="json", exclude_none=True)
        self._context.record.request("elevenlabs", "context", fields, flow.fault.kind if flow.fault else None)
        voice = at_speed(self._voice, (message.voice_settings or VoiceTuning()).speed)
        schedule = (message.generation_config or GenerationConfig()).chunk_length_schedule
        speaking = self._open[identity] = Speaking(identity, voice, schedule, flow)
        speaking.task = asyncio.create_task(self._speak(speaking), name="elevenlabs context")
        return speaking

    async def _speak(self, speaking: Speaking) -> None:
        if await speaking.flow.play(self._sound(speaking), self._wire):
            await self._wire.send(messages.final(speaking.identity))
        self._open.pop(speaking.identity, None)

    async def _sound(self, speaking: Speaking) -> AsyncIterator[dict[str, Any]]:
        encoder = Encoder(self._form.form, self._form.rate, bit_rate=self._form.bit_rate)
        began = 0.0
        while (text := await speaking.texts.get()) is not None:
            async for sentence in utter(text, speaking.voice, self._form.rate):
                timing: dict[str, Any] | None = None
                if self._query.sync_alignment == "true":
                    timing = messages.alignment_of(sentence, began)
                for piece in sentence.pieces():
                    # a piece too short to be encoded yet comes with the next one; its timing too
                    if made := await asyncio.to_thread(encoder.push, piece):
                        yield messages.audio(speaking.identity, made, timing)
                        timing = None
                began += sentence.seconds
        if rest := await asyncio.to_thread(encoder.finish):
            yield messages.audio(speaking.identity, rest, None)


def _json(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise Wrong("invalid_request", "The message is not valid JSON.") from None
