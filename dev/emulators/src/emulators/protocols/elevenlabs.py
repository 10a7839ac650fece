"""ElevenLabs' speech: WebSocket multi-stream-input, the HTTP stream beside it, and the list of voices."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from emulators.behaviour import REFUSALS, Fault
from emulators.context import Context
from emulators.encoding import Encoder
from emulators.protocols import elevenlabs_messages as messages
from emulators.protocols.elevenlabs_contexts import Contexts
from emulators.protocols.elevenlabs_messages import HttpQuery, OutputFormat, Query, SpeechBody, VoiceTuning, Wrong
from emulators.speech import Voices, at_speed, utter
from emulators.wire import HttpWire, SocketWire

_TYPES = {"pcm": "audio/pcm", "mp3": "audio/mpeg", "opus": "audio/opus"}


class ElevenLabs:
    """The speech's faces."""

    def __init__(self, context: Context, voices: Voices) -> None:
        self._context = context
        self._voices = voices

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/text-to-speech/{voice}/multi-stream-input", self.multi_stream),
            web.post("/v1/text-to-speech/{voice}/stream", self.stream),
            web.get("/v1/voices", self.voices),
        ]

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get("xi-api-key", "")
        if not hmac.compare_digest(given.encode(), self._context.key.encode()):
            raise Wrong("invalid_api_key", "Invalid API key", 401)

    def _voice_exists(self, identity: str) -> None:
        if self._voices.get(identity) is None:
            raise Wrong("voice_not_found", f"A voice with the voice_id {identity} was not found.", 404)

    def _refuse(self, request: web.Request, wrong: Wrong, headers: dict[str, str] | None = None) -> web.Response:
        self._context.record.refused("elevenlabs", request.path, str(wrong))
        given = {"x-trace-id": self._context.name(32), **(headers or {})}
        return web.json_response(wrong.body(), status=wrong.http, headers=given)

    def _of_fault(self, request: web.Request, fault: Fault) -> web.Response:
        headers = {"Retry-After": f"{fault.retry_after_s:g}"} if fault.kind == "rate_limited" else None
        return self._refuse(request, of_fault(fault), headers)

    async def voices(self, request: web.Request) -> web.Response:
        """What the account can speak with."""
        try:
            self._check_key(request)
        except Wrong as wrong:
            return self._refuse(request, wrong)
        known = [{"voice_id": name, "name": name, "category": "premade"} for name in self._voices.names()]
        return web.json_response({"voices": known})

    async def multi_stream(self, request: web.Request) -> web.StreamResponse:
        """One connection; a request that can't be served is told so on the open socket, which is then closed."""
        flow = self._context.behaviours.begin("elevenlabs", REFUSALS)
        if flow.fault is not None:
            return self._of_fault(request, flow.fault)
        socket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False, timeout=2.0)
        await socket.prepare(request)
        wire = SocketWire(request, socket, refusal)
        try:
            self._check_key(request)
            query: Query = messages.from_query(request.query, Query)
            messages.check_model(query.model_id)
            form = messages.output_format(query.output_format)
            self._voice_exists(request.match_info["voice"])
        except Wrong as wrong:
            self._context.record.refused("elevenlabs", "multi-stream-input", str(wrong))
            await wire.send(wrong.message())
            await wire.close(1008, str(wrong).encode()[:120])
            return socket
        asked = {"voice_id": request.match_info["voice"], **query.model_dump(mode="json", exclude_none=True)}
        self._context.record.connection("elevenlabs", "multi-stream-input", asked)
        voice = self._voices.get(request.match_info["voice"])
        assert voice is not None
        await Contexts(self._context, voice, query, form, wire).run(socket)
        return socket

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """POST: one text, its sound as it is made."""
        identity = request.match_info["voice"]
        try:
            self._check_key(request)
            query: HttpQuery = messages.from_query(request.query, HttpQuery)
            form = messages.output_format(query.output_format)
            body: SpeechBody = messages.read(SpeechBody, _json(await request.read()))
            messages.check_model(body.model_id)
            self._voice_exists(identity)
        except Wrong as wrong:
            return self._refuse(request, wrong)
        flow = self._context.behaviours.begin("elevenlabs")
        fields = {"voice_id": identity, **body.model_dump(mode="json", exclude_none=True)}
        self._context.record.request("elevenlabs", "stream", fields, flow.fault.kind if flow.fault else None)
        if flow.fault is not None and flow.fault.kind in REFUSALS:
            return self._of_fault(request, flow.fault)
        headers = {"x-trace-id": self._context.name(32)}
        wire = HttpWire(request, _TYPES[form.form], headers, bytes(range(256)) * 8)
        if await flow.play(self._pieces(identity, body, form), wire):
            await wire.end()
        return wire.response

    async def _pieces(self, identity: str, body: SpeechBody, form: OutputFormat) -> AsyncIterator[bytes]:
        voice = self._voices.get(identity)
        assert voice is not None
        encoder = Encoder(form.form, form.rate, bit_rate=form.bit_rate)
        tuned = at_speed(voice, (body.voice_settings or VoiceTuning()).speed)
        async for sentence in utter(body.text, tuned, form.rate):
            for piece in sentence.pieces():
                if made := await asyncio.to_thread(encoder.push, piece):
                    yield made
        if rest := await asyncio.to_thread(encoder.finish):
            yield rest


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise Wrong("invalid_request", "The body is not valid JSON.", 422) from None


def of_fault(fault: Fault) -> Wrong:
    """A 429 or a 500."""
    if fault.kind == "rate_limited":
        return Wrong("too_many_concurrent_requests", "Too many concurrent requests.", 429)
    return Wrong("internal_server_error", "An internal error occurred.", 500)


def refusal(fault: Fault) -> tuple[dict[str, Any], int, bytes]:
    """On a connection that is open already."""
    wrong = of_fault(fault)
    return wrong.message(), 1008 if fault.kind == "rate_limited" else 1011, wrong.status.encode()
