"""Outgoing HTTP. The only module that imports httpx, so that timeouts, traces and a change of library have one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import httpx
from opentelemetry.trace import SpanKind

from switchboard.errors import DeadlineExceeded, Unavailable
from switchboard.telemetry import context_headers, span

HttpClient: TypeAlias = httpx.AsyncClient
HttpResponse: TypeAlias = httpx.Response
HttpTransport: TypeAlias = httpx.AsyncBaseTransport
HttpError: TypeAlias = httpx.HTTPError
HttpConnectError: TypeAlias = httpx.ConnectError
"""Base of what a request raises besides :class:`Unavailable` and :class:`DeadlineExceeded`, e.g. for a bad answer."""

TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0


@asynccontextmanager
async def client(
    *,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    max_connections: int = 20,
    propagate_trace: bool = True,
    transport: HttpTransport | None = None,
    local_address: str | None = None,
) -> AsyncIterator[HttpClient]:
    """A client whose every request has a timeout (seconds, for each of write and read) and a span.

    Redirects are not followed and proxies of the environment not used: both would send credentials elsewhere.
    ``propagate_trace`` puts ``traceparent`` on requests; leave it out for outside companies. A server that can't be
    reached raises :class:`Unavailable`, one that takes too long :class:`DeadlineExceeded`. ``transport`` is for tests; so is
    ``local_address``, the address of this machine's that requests come from.
    """
    inner = transport or httpx.AsyncHTTPTransport(
        limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
        local_address=local_address,
    )
    async with httpx.AsyncClient(
        base_url=base_url,
        headers=dict(headers or {}),
        timeout=httpx.Timeout(timeout_s, connect=connect_timeout_s, pool=connect_timeout_s),
        transport=_Traced(inner, propagate_trace),
        follow_redirects=False,
        trust_env=False,
    ) as made:
        yield made


class _Traced(httpx.AsyncBaseTransport):
    """A span per request, without path or query: both may hold ids and tokens."""

    def __init__(self, inner: HttpTransport, propagate: bool) -> None:
        self._inner = inner
        self._propagate = propagate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        attributes = {"http.request.method": request.method, "server.address": request.url.host}
        with span(request.method, kind=SpanKind.CLIENT, attributes=attributes) as current:
            if self._propagate:
                request.headers.update(context_headers())
            try:
                response = await self._inner.handle_async_request(request)
            except httpx.TimeoutException as error:
                raise DeadlineExceeded(f"{request.url.host} did not answer in time") from error
            except httpx.NetworkError as error:
                raise Unavailable(f"{request.url.host} can't be reached") from error
            current.set_attribute("http.response.status_code", response.status_code)
            return response

    async def aclose(self) -> None:
        await self._inner.aclose()
