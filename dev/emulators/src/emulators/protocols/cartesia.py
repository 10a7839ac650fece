"""Cartesia's speech: WebSocket /tts/websocket and POST /tts/bytes."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from emulators.behaviour import REFUSALS, Fault
from emulators.context import Context
from emulators.protocols import cartesia_messages as messages
from emulators.protocols.cartesia_contexts import Contexts
from emulators.protocols.cartesia_messages import GenerationConfig, SpeechBody, Wrong
from emulators.speech import Voices, at_speed, utter
from emulators.wire import HttpWire, SocketWire


class Cartesia:
    """The speech's faces."""

    def __init__(self, context: Context, voices: Voices) -> None:
        self._context = context
        self._voices = voices

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/tts/websocket", self.websocket), web.post("/tts/bytes", self.synthesize)]

    def _check(self, request: web.Request, given: Mapping[str, str]) -> str:
        """The version of the API that the client speaks. Raises Wrong."""
        key = request.headers.get("X-API-Key") or request.query.get("api_key", "")
        if not hmac.compare_digest(key.encode(), self._context.key.encode()):
            raise Wrong("Invalid API key.", 401, "Unauthorized", "unauthorized")
        version = request.headers.get("Cartesia-Version") or given.get("cartesia_version", "")
        if version not in messages.VERSIONS:
            raise Wrong(f"cartesia_version: give one of {', '.join(messages.VERSIONS)}", 400, "Invalid version")
        for name in request.query:
            if name not in ("cartesia_version", "api_key"):
                raise Wrong(f"unknown query parameter {name}")
        return version

    def _refuse(self, request: web.Request, wrong: Wrong, headers: dict[str, str] | None = None) -> web.Response:
        self._context.record.refused("cartesia", request.path, str(wrong))
        given = {"X-Request-Id": self._context.uuid(), **(headers or {})}
        version = request.headers.get("Cartesia-Version") or request.query.get("cartesia_version", "")
        return web.json_response(wrong.fields(version), status=wrong.status, headers=given)

    def _of_fault(self, request: web.Request, fault: Fault) -> web.Response:
        headers = {"Retry-After": f"{fault.retry_after_s:g}"} if fault.kind == "rate_limited" else None
        return self._refuse(request, messages.of_fault(fault), headers)

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """One connection, as many contexts as the client likes."""
        try:
            version = self._check(request, request.query)
        except Wrong as wrong:
            return self._refuse(request, wrong)
        flow = self._context.behaviours.begin("cartesia", REFUSALS)
        if flow.fault is not None:
            return self._of_fault(request, flow.fault)
        socket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False, timeout=2.0)
        socket.headers["X-Request-Id"] = self._context.uuid()
        await socket.prepare(request)
        self._context.record.connection("cartesia", "/tts/websocket", {"cartesia_version": version})

        wire = SocketWire(
            request, socket, lambda fault: (messages.error(messages.of_fault(fault), version, None), None, b"")
        )
        await Contexts(self._context, self._voices, version, wire).run(socket)
        return socket

    async def synthesize(self, request: web.Request) -> web.StreamResponse:
        """POST: one text, its sound as it is made."""
        try:
            self._check(request, {})
            body = messages.read(SpeechBody, _json(await request.read()))
            messages.check(body)
            if self._voices.get(body.voice.id) is None:
                raise messages.voice_not_found(body.voice.id)
        except Wrong as wrong:
            return self._refuse(request, wrong)
        flow = self._context.behaviours.begin("cartesia")
        fields = body.model_dump(mode="json", exclude_none=True)
        self._context.record.request("cartesia", "/tts/bytes", fields, flow.fault.kind if flow.fault else None)
        if flow.fault is not None and flow.fault.kind in REFUSALS:
            return self._of_fault(request, flow.fault)
        wire = HttpWire(request, "audio/pcm", {"X-Request-Id": self._context.uuid()}, bytes(range(255)))
        if await flow.play(self._pieces(body), wire):
            await wire.end()
        return wire.response

    async def _pieces(self, body: SpeechBody) -> AsyncIterator[bytes]:
        voice = self._voices.get(body.voice.id)
        assert voice is not None
        tuned = at_speed(voice, (body.generation_config or GenerationConfig()).speed)
        async for sentence in utter(body.transcript, tuned, body.output_format.sample_rate):
            for piece in sentence.pieces():
                yield piece


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise Wrong("The body is not valid JSON.") from None
