"""What stands between the network and the application: body limits before anything is parsed, security headers, and a
problem for whatever the application did not answer itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from switchboard.errors import TooLarge
from switchboard.service import ASGIApp, Message, Receive, Scope, Send

from api_gateway.problems import problem_for, request_id

_log = structlog.get_logger(__name__)

MAX_JSON_BYTES = 128 * 1024

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Edge:
    """Pure ASGI. ``limits`` gives the largest body in bytes by ``METHOD /path`` (POST and PUT with other paths:
    :data:`MAX_JSON_BYTES`). ``https``: the public comes that way, and browsers are told to stay with it (RFC 6797 forbids
    to say so over plain HTTP)."""

    def __init__(self, app: ASGIApp, limits: Mapping[str, int], https: bool) -> None:
        self._app = app
        self._limits = limits
        self._headers = (*_HEADERS, _HSTS) if https else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(f"{scope['method']} {scope['path']}", MAX_JSON_BYTES)
        await _Exchange(self._app, limit, self._headers, scope, receive, send).run()


class _Exchange:
    """One request and its response."""

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        headers: Sequence[tuple[bytes, bytes]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._app = app
        self._limit = limit
        self._headers = headers
        self._scope = scope
        self._receive = receive
        self._send = send
        self._read = 0
        self._begun = False
        self._overflow = False

    async def run(self) -> None:
        if _announced(self._scope) > self._limit:
            await self._answer(self._too_large())
            return
        try:
            await self._app(self._scope, self.receive, self.send)
        except Exception as error:
            if self._begun:
                raise
            if not self._overflow:
                _log.exception("request failed", error=type(error).__name__)
                await self._answer(error)
                return
        # The application may have turned our exception into an answer of its own; that one was held back.
        if self._overflow and not self._begun:
            await self._answer(self._too_large())

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self._limit} bytes")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                self._overflow = True
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if self._overflow and not self._begun:
            return
        if message["type"] == "http.response.start":
            self._begun = True
            kept = [(key, value) for key, value in message.get("headers", ())]
            present = {key.lower() for key, _ in kept}
            # An answer that needs another policy (a page of the console) brings it along.
            kept += [header for header in self._headers if header[0] not in present]
            if b"cache-control" not in present:
                kept.append((b"cache-control", b"no-store"))
            message = {**message, "headers": kept}
        await self._send(message)

    async def _answer(self, error: Exception) -> None:
        self._overflow = False
        problem = problem_for(error, request_id(self._scope))
        headers = [(key.encode(), value.encode()) for key, value in problem.headers.items()]
        # No "connection: close": with a body still on its way that would be a reset, and the client would not see why.
        # The server throws away what comes after the answer, for as long as it keeps an idle connection.
        headers.append((b"content-length", str(len(problem.body)).encode()))
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": problem.body})


def _announced(scope: Scope) -> int:
    """The announced length of the body in bytes; 0 when it is not announced."""
    for key, value in scope["headers"]:
        if key == b"content-length":
            text: str = value.decode("latin-1")
            return int(text) if text.isascii() and text.isdigit() else 0
    return 0
