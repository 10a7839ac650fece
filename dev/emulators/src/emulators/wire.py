"""The two transports: an HTTP response that is written piece by piece, and a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from aiohttp import web

from emulators.behaviour import Fault

T = TypeVar("T")
Refusal = Callable[[Fault], tuple[dict[str, Any] | None, int | None, bytes]]


def drop(request: web.BaseRequest) -> None:
    """Ends the TCP connection with RST: what was not sent yet is lost, and the client sees a broken connection."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    # a linger of 0 s makes close() send RST instead of FIN
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def of(chunks: Iterable[T]) -> AsyncIterator[T]:
    """A plain sequence as the asynchronous one that a flow plays."""
    for chunk in chunks:
        yield chunk


class HttpWire:
    """A streamed response; its headers go out with the first chunk, so that a stall before it is a true silence."""

    def __init__(
        self, request: web.Request, content_type: str, headers: dict[str, str], garbage: bytes, status: int = 200
    ) -> None:
        self._request = request
        self._garbage = garbage
        self.response = web.StreamResponse(status=status, headers={"Content-Type": content_type, **headers})
        self.response.enable_chunked_encoding()

    async def _write(self, raw: bytes) -> None:
        if not self.response.prepared:
            await self.response.prepare(self._request)
        await self.response.write(raw)

    async def send(self, chunk: bytes) -> None:
        await self._write(chunk)

    async def garbage(self) -> None:
        await self._write(self._garbage)

    async def half(self) -> None:
        await self.end()

    async def end(self) -> None:
        """The response is whole."""
        if not self.response.prepared:
            await self.response.prepare(self._request)
        await self.response.write_eof()

    async def refuse(self, fault: Fault) -> None:
        raise AssertionError("an HTTP request is refused before its answer begins")

    def reset(self) -> None:
        drop(self._request)


class SocketWire:
    """JSON messages on a WebSocket.

    `refusal` makes the provider's own error message for a fault, and the close code (None: the connection stays).
    """

    def __init__(
        self,
        request: web.Request,
        socket_: web.WebSocketResponse,
        refusal: Refusal,
    ) -> None:
        self._request = request
        self._socket = socket_
        self._refusal = refusal

    async def send(self, chunk: dict[str, Any]) -> None:
        # the client may go in mid-answer: the connection's end is noticed by whoever reads
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(json.dumps(chunk))

    async def garbage(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str('{"type": "Res')

    async def half(self) -> None:
        await self.close(1000, b"")

    async def refuse(self, fault: Fault) -> None:
        message, code, reason = self._refusal(fault)
        if message is not None:
            await self.send(message)
        if code is not None:
            await self.close(code, reason)

    def refusing(self, refusal: Refusal) -> SocketWire:
        """The same connection with other words for a refusal."""
        return SocketWire(self._request, self._socket, refusal)

    async def close(self, code: int, reason: bytes) -> None:
        """Ends the connection; doesn't wait for the client's answer, whoever reads sees it."""
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            await self._socket.close(code=code, message=reason, drain=True)

    def reset(self) -> None:
        drop(self._request)
