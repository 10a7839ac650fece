"""The shell around a service's HTTP application: health and metrics, request id, trace, access log, refusal while
draining.

Pure ASGI, so that it is the same around FastAPI, Litestar and nothing at all.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias

import structlog
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from switchboard.clock import Clock
from switchboard.errors import NotFound, Unavailable
from switchboard.service.health import Health
from switchboard.service.problems import Problem, problem_of
from switchboard.telemetry import Metrics, bound, remote_span

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""FastAPI's, Litestar's and our own applications all fit."""

_log = structlog.get_logger("switchboard.http.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
UNMATCHED = "unmatched"


class InFlight:
    """Counts what is being worked on, and tells when nothing is."""

    def __init__(self) -> None:
        self.count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self.count += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self.count -= 1
        if self.count == 0:
            self._idle.set()

    async def idle(self) -> None:
        """Returns when nothing is in flight."""
        await self._idle.wait()


class Shell:
    """Serves ``/health/live``, ``/health/ready`` and ``/metrics``, and hands everything else to ``app``."""

    def __init__(
        self, app: ASGIApp | None, health: Health, metrics: Metrics, clock: Clock, *, trust_inbound_trace: bool = True
    ) -> None:
        self._app = app
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._trust = trust_inbound_trace
        self.in_flight = InFlight()
        active = metrics.gauge("http.server.active_requests", "Requests being answered now")
        active.set_function(lambda: self.in_flight.count)
        self._duration = metrics.histogram(
            "http.server.request.duration",
            "Duration of HTTP requests",
            ("http_request_method", "http_route", "http_response_status_code"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
        elif kind == "http" and scope["path"] in _QUIET:
            await self._about_itself(scope["path"], send)
        elif kind == "http":
            await self._request(scope, receive, send)
        else:
            await self._websocket(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
            return
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _about_itself(self, path: str, send: Send) -> None:
        if path == "/metrics":
            await respond(send, 200, self._metrics.render(), {"content-type": Metrics.content_type})
            return
        if path == "/health/live":
            await respond(send, 200, b'{"status":"live"}', {"content-type": "application/json"})
            return
        report = await self._health.report()
        body = {"status": report.status, "failed": report.failed, "degraded": report.degraded}
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        await respond(send, 200 if report.ready else 503, json.dumps(body).encode(), headers)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _text_headers(scope["headers"])
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        status = 500
        started = self._clock.monotonic()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        carrier = headers if self._trust else {}
        with bound(request_id=request_id), remote_span(method, carrier, kind=SpanKind.SERVER) as span, self.in_flight:
            try:
                await self._work(scope, receive, answer, request_id)
            finally:
                elapsed = self._clock.monotonic() - started
                self._account(span, method, route_of(scope), status, elapsed)

    def _account(self, span: Span, method: str, route: str, status: int, elapsed: float) -> None:
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        self._duration.labels(method, route, str(status)).observe(elapsed)
        _log.info("request", method=method, route=route, status=status, duration_ms=round(elapsed * 1000, 1))

    async def _work(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Answers in any case: with a problem when the application fails before it has begun to answer."""
        begun = complete = False

        async def watched(message: Message) -> None:
            nonlocal begun, complete
            begun = begun or message["type"] == "http.response.start"
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        if self._health.draining:
            problem = problem_of(Unavailable("this process is stopping; another one takes the request"), request_id)
            await respond(send, problem.status, problem.body, {**problem.headers, "connection": "close"})
            return
        if self._app is None:
            await _respond_problem(send, problem_of(NotFound(), request_id))
            return
        try:
            await self._app(scope, receive, watched)
        except Exception:  # the border: the client gets a problem, the log gets the trace
            _log.exception("request failed")
            if complete:
                return
            if begun:
                raise  # half an answer is out; only cutting the connection tells the client
            await _respond_problem(send, problem_of(RuntimeError(), request_id))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._health.draining or self._app is None:
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1012})
            return
        headers = _text_headers(scope["headers"]) if self._trust else {}
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        with bound(request_id=request_id), remote_span("websocket", headers, kind=SpanKind.SERVER) as span:
            with self.in_flight:
                await self._app(scope, receive, send)
            span.update_name(f"websocket {route_of(scope)}")


def route_of(scope: Scope) -> str:
    """The route's template (``/v1/calls/{call_id}``): Litestar leaves it in the scope, FastAPI leaves the route."""
    template = scope.get("path_template")
    if not template:
        template = getattr(scope.get("route"), "path", None)
    return str(template) if template else UNMATCHED


async def respond(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """A whole response."""
    raw = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _respond_problem(send: Send, problem: Problem) -> None:
    await respond(send, problem.status, problem.body, problem.headers)


def _text_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in raw}


def _request_id(headers: Mapping[str, str]) -> str:
    """The caller's, when it is one; a line break or a phone number in it must not reach our logs."""
    given = headers.get("x-request-id", "")
    if _REQUEST_ID.fullmatch(given) and not given.isdecimal():
        return given
    return secrets.token_hex(16)
