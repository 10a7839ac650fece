"""One connection to /v1/listen: audio in, transcripts out.

The reader passes audio to the ear; each utterance that the ear finds gets a flow of its own, so that a fault can strike
a connection that has been open since the call began.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMessage, WSMsgType, web
from livekit import rtc
from livekit.agents import APIError, stt
from livekit.agents.types import APIConnectOptions

from emulators.behaviour import Flow
from emulators.context import Context
from emulators.hearing import SHORTEST_PAUSE, Hearing
from emulators.protocols import deepgram_messages as messages
from emulators.protocols.deepgram_parameters import ListenOptions
from emulators.wire import SocketWire

SILENCE_LIMIT = 10.0
"""Seconds without audio and without KeepAlive after which the connection is closed (NET-0001)."""


class Utterance:
    """The messages of one utterance, on their way to the client."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.player: asyncio.Task[None] | None = None

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        while (message := await self.messages.get()) is not None:
            yield message


class Session:
    """Serves one client until it goes, or until it asked for the end."""

    def __init__(
        self, context: Context, hearing: Hearing, options: ListenOptions, wire: SocketWire, request_id: str
    ) -> None:
        self._context = context
        self._options = options
        self._wire = wire
        self._request_id = request_id
        self._listener = hearing.listener(options.endpointing or SHORTEST_PAUSE)
        self._stream = self._listener.stream(conn_options=APIConnectOptions(max_retry=0))
        self._utterance: Utterance | None = None
        self._utterances: list[Utterance] = []
        self._timers: set[asyncio.Task[None]] = set()
        self._finalizing = False
        self._seconds = 0.0
        self._digest = hashlib.sha256()

    async def run(self, socket: web.WebSocketResponse) -> None:
        """Returns when the connection is over."""
        hearing = asyncio.create_task(self._hear(), name="deepgram hearing")
        reading = asyncio.create_task(self._read(socket), name="deepgram reading")
        try:
            await asyncio.wait([hearing, reading], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await hearing  # it ends before the audio does only by an error
            elif reading.result():
                self._stream.end_input()
                await hearing
                await self._finish()
        except APIError:
            await self._wire.close(1011, b"NET-0000")
            raise
        finally:
            tasks = [hearing, reading, *self._timers, *(one.player for one in self._utterances if one.player)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stream.aclose()
            await self._listener.aclose()

    async def _read(self, socket: web.WebSocketResponse) -> bool:
        """True when the client asked for the end, False when it is gone or was sent away."""
        while True:
            try:
                async with asyncio.timeout(SILENCE_LIMIT):
                    message = await socket.receive()
            except TimeoutError:
                await self._wire.close(1011, b"NET-0001")
                return False
            if message.type == WSMsgType.BINARY:
                if not message.data:  # the old way to ask for the end
                    return True
                if not await self._audio(message.data):
                    return False
            elif message.type == WSMsgType.TEXT:
                goes_on = await self._command(message)
                if goes_on is not None:
                    return goes_on
            else:
                return False

    async def _audio(self, raw: bytes) -> bool:
        if len(raw) % 2:
            await self._wire.close(1008, b"DATA-0000")
            return False
        self._digest.update(raw)
        count = len(raw) // 2
        self._seconds += count / self._options.sample_rate
        self._stream.push_frame(rtc.AudioFrame(raw, self._options.sample_rate, 1, count))
        return True

    async def _command(self, message: WSMessage) -> bool | None:
        """None: goes on. True: the client wants the end. False: sent away."""
        try:
            command = json.loads(message.data)
            kind, extra = command.pop("type"), set(command)
        except (ValueError, KeyError, AttributeError, TypeError):
            return await self._unreadable("expected a JSON object with a type")
        allowed = {"KeepAlive": set(), "Finalize": {"channel"}, "CloseStream": set()}
        if kind not in allowed:
            return await self._unreadable(f"unknown variant `{kind}`, expected one of {', '.join(allowed)}")
        if extra - allowed[kind]:
            return await self._unreadable(f"unknown field `{sorted(extra - allowed[kind])[0]}`")
        if kind == "Finalize":
            self._finalizing = self._utterance is not None
            self._stream.flush()
        return True if kind == "CloseStream" else None

    async def _unreadable(self, description: str) -> bool:
        self._context.record.refused("deepgram", "message", description)
        said = {
            "type": "Error",
            "variant": "SchemaError",
            "description": description,
            "message": "Could not deserialize.",
        }
        await self._wire.send(said)
        await self._wire.close(1008, b"DATA-0000")
        return False

    async def _hear(self) -> None:
        async for event in self._stream:
            if event.type == stt.SpeechEventType.START_OF_SPEECH:
                self._begin()
            elif event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT and self._options.interim_results:
                self._say(event, final=False)
            elif event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                self._say(event, final=True)
            elif event.type == stt.SpeechEventType.END_OF_SPEECH and self._utterance is not None:
                self._utterance.messages.put_nowait(None)
                self._utterance = None

    def _begin(self) -> None:
        for timer in self._timers:
            timer.cancel()
        flow = self._context.behaviours.begin("deepgram")
        fault = flow.fault.kind if flow.fault else None
        self._context.record.request("deepgram", "utterance", {"request_id": self._request_id}, fault)
        earlier = self._utterances[-1:]
        utterance = self._utterance = Utterance(flow)
        self._utterances.append(utterance)
        if self._options.vad_events:
            utterance.messages.put_nowait(messages.speech_started(self._seconds))
        utterance.player = asyncio.create_task(self._play(utterance, earlier), name="deepgram utterance")

    async def _play(self, utterance: Utterance, earlier: list[Utterance]) -> None:
        for one in earlier:
            await one.flow.over.wait()  # what was said first is told first
        await utterance.flow.play(utterance, self._wire, waited_for=lambda message: bool(message.get("is_final")))

    def _say(self, event: stt.SpeechEvent, *, final: bool) -> None:
        if self._utterance is None:
            return
        from_finalize = final and self._finalizing
        message = messages.results(
            event,
            final=final,
            # an endpoint is a pause that was heard, which a Finalize doesn't wait for
            speech_final=final and self._options.endpointing is not None and not from_finalize,
            from_finalize=from_finalize,
            punctuate=self._options.punctuate,
            request_id=self._request_id,
            model=self._options.model,
        )
        self._utterance.messages.put_nowait(message)
        if final:
            self._finalizing = False
            if self._options.utterance_end is not None and event.alternatives[0].text:
                self._later(self._utterance, event.alternatives[0].end_time, self._options.utterance_end)

    def _later(self, utterance: Utterance, ended: float, gap: float) -> None:
        """UtteranceEnd, unless somebody speaks before the gap is over."""

        async def tell() -> None:
            await asyncio.sleep(max(0.0, gap - (self._seconds - ended)))
            if utterance.flow.fault is None:
                await self._wire.send(messages.utterance_end(ended))

        task = asyncio.create_task(tell(), name="deepgram utterance end")
        self._timers.add(task)
        task.add_done_callback(self._timers.discard)

    async def _finish(self) -> None:
        """The last words, the summary, the end."""
        for utterance in self._utterances:
            await utterance.flow.over.wait()
        now = self._context.clock.now()
        await self._wire.send(messages.metadata(self._request_id, now, self._seconds, self._digest.hexdigest()))
        with contextlib.suppress(ConnectionError):
            await self._wire.close(1000, b"")
