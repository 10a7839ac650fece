"""Deepgram's streaming transcription: WebSocket /v1/listen."""

from __future__ import annotations

import hmac
from typing import Any

from aiohttp import web

from emulators.behaviour import REFUSALS, Fault
from emulators.context import Context
from emulators.hearing import Hearing
from emulators.protocols.deepgram_parameters import BadQuery, ListenOptions, read_query
from emulators.protocols.deepgram_session import Session
from emulators.wire import SocketWire

_INTERNAL = b"NET-0000"


class Listen:
    """The transcription's WebSocket face."""

    def __init__(self, context: Context, hearing: Hearing) -> None:
        self._context = context
        self._hearing = hearing

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/listen", self.listen)]

    def _refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
        self._context.record.refused("deepgram", "/v1/listen", message)
        request_id = self._context.uuid()
        body = {"err_code": code, "err_msg": message, "request_id": request_id}
        given = {"dg-error": message, "dg-request-id": request_id, **(headers or {})}
        return web.json_response(body, status=status, headers=given)

    def _not_allowed(self, request: web.Request) -> web.Response | None:
        """401, 400, 429 or 500 in place of the handshake."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "token" or not hmac.compare_digest(given.encode(), self._context.key.encode()):
            return self._refuse(401, "INVALID_AUTH", "Invalid credentials.")
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            return self._refuse(400, "Bad Request", "The emulator transcribes over a WebSocket only.")
        return None

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """One connection, which lasts as long as the client keeps it alive."""
        if (refusal := self._not_allowed(request)) is not None:
            return refusal
        try:
            options = read_query(request.query)
        except BadQuery as error:
            return self._refuse(400, "Bad Request", str(error))
        flow = self._context.behaviours.begin("deepgram", REFUSALS)
        if flow.fault is not None:
            return self._of_fault(flow.fault)
        return await self._serve(request, options)

    def _of_fault(self, fault: Fault) -> web.Response:
        if fault.kind == "rate_limited":
            headers = {"Retry-After": f"{fault.retry_after_s:g}"}
            return self._refuse(429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later.", headers)
        return self._refuse(500, "INTERNAL_SERVER_ERROR", "An internal server error occurred.")

    async def _serve(self, request: web.Request, options: ListenOptions) -> web.WebSocketResponse:
        request_id = self._context.uuid()
        socket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False, timeout=2.0)
        socket.headers["dg-request-id"] = request_id
        await socket.prepare(request)
        self._context.record.connection("deepgram", "/v1/listen", dict(request.query))
        wire = SocketWire(request, socket, refusal)
        session = Session(self._context, self._hearing, options, wire, request_id)
        await session.run(socket)
        return socket


def refusal(_: Fault) -> tuple[dict[str, Any] | None, int, bytes]:
    """An open connection has no 429: it is closed, and the next handshake gets it."""
    return None, 1011, _INTERNAL
