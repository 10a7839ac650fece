"""POST /v1/audio/speech: streamed audio, or server-sent events that carry it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Literal

from aiohttp import web
from pydantic import Field
from voice_agent.offline.voice import VoiceSettings

from emulators.behaviour import REFUSALS, Strict
from emulators.context import Context
from emulators.encoding import Encoder, Format
from emulators.protocols import openai_errors
from emulators.protocols.openai_errors import Refused, unknown_model
from emulators.speech import Voices, at_speed, utter
from emulators.wire import HttpWire

RATE = 24_000
SPEECH_MODELS = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")
_PLAIN_STREAM = ("tts-1", "tts-1-hd")
_TYPES: dict[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class CustomVoice(Strict):
    id: str


class SpeechRequest(Strict):
    model: str
    input: str = Field(min_length=1, max_length=4096)
    voice: str | CustomVoice
    response_format: Format = "mp3"
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    instructions: str | None = None
    stream_format: Literal["sse", "audio"] = "audio"


class Speech:
    """The speech model's HTTP face."""

    def __init__(self, context: Context, voices: Voices) -> None:
        self._context = context
        self._voices = voices

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/audio/speech", self.speak)]

    def _check(self, asked: SpeechRequest) -> VoiceSettings:
        if asked.model not in SPEECH_MODELS:
            raise unknown_model(asked.model)
        if asked.model in _PLAIN_STREAM and asked.stream_format == "sse":
            message = f"'sse' is not supported for {asked.model}."
            raise Refused(400, message, param="stream_format", code="unsupported_value")
        identity = asked.voice if isinstance(asked.voice, str) else asked.voice.id
        voice = self._voices.get(identity)
        if voice is None:
            known = ", ".join(repr(name) for name in self._voices.names())
            message = f"Invalid value: '{identity}'. Supported values are: {known}."
            raise Refused(400, message, param="voice", code="invalid_value")
        return at_speed(voice, asked.speed)

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """Audio as it is made, 100 ms a chunk."""
        context = self._context
        request_id = f"req_{context.name(32)}"
        try:
            openai_errors.check_key(request, context.key)
            asked = await openai_errors.read(request, SpeechRequest)
            voice = self._check(asked)
        except Refused as refusal:
            context.record.refused("speech", request.path, str(refusal))
            return refusal.response(request_id)
        flow = context.behaviours.begin("speech")
        fields = asked.model_dump(mode="json", exclude_none=True)
        context.record.request("speech", request.path, fields, flow.fault.kind if flow.fault else None)
        if flow.fault is not None and flow.fault.kind in REFUSALS:
            await flow.pause(first=True)
            return openai_errors.of_fault(flow.fault).response(request_id)
        events = asked.stream_format == "sse"
        kind = "text/event-stream; charset=utf-8" if events else _TYPES[asked.response_format]
        garbage = b'data: {"type":"speech.audio.de\n\n' if events else bytes(range(256)) * 8
        wire = HttpWire(request, kind, {"x-request-id": request_id}, garbage)
        encoder = Encoder(asked.response_format, RATE)
        chunks = self._pieces(asked, voice, encoder)
        if await flow.play(_as_events(chunks) if events else chunks, wire):
            if events:
                await wire.send(_done(asked))
            await wire.end()
        return wire.response

    async def _pieces(self, asked: SpeechRequest, voice: VoiceSettings, encoder: Encoder) -> AsyncIterator[bytes]:
        async for sentence in utter(asked.input, voice, RATE):
            for piece in sentence.pieces():
                if made := await asyncio.to_thread(encoder.push, piece):
                    yield made
        if rest := await asyncio.to_thread(encoder.finish):
            yield rest


async def _as_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        event = {"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()}
        yield f"data: {json.dumps(event)}\n\n".encode()


def _done(asked: SpeechRequest) -> bytes:
    given, made = len(asked.input) // 4 + 1, len(asked.input.split()) * 8
    usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    return f"data: {json.dumps({'type': 'speech.audio.done', 'usage': usage})}\n\n".encode()
