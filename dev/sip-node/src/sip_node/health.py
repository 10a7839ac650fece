"""The health and metrics ports: 200 OK, 429 under load, 503 while stopping."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

_REASONS: Final = {200: "OK", 429: "Too Many Requests", 503: "Service Unavailable"}
_READ_S: Final = 5.0


class HttpPort:
    """Answers every request on one port with what `answer` returns: (status, content type, text)."""

    def __init__(self, answer: Callable[[], tuple[int, str, str]]) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def start(self, ip: str, port: int) -> None:
        """Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, ip, port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _READ_S)
            status, kind, text = self._answer()
            body = text.encode()
            head = f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nContent-Type: {kind}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await asyncio.wait_for(writer.drain(), _READ_S)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()


def health_answer(stopping: bool, at_capacity: bool) -> tuple[int, str, str]:
    """livekit-sip's words for its three states."""
    if stopping:
        return 503, "text/plain", "Stopped"
    if at_capacity:
        return 429, "text/plain", "UnderLoad"
    return 200, "text/plain", "OK"


def metrics_answer(gauges: dict[str, Any], counters: dict[str, int]) -> tuple[int, str, str]:
    """Prometheus text; every name gets the prefix `sip_node_`."""
    lines: list[str] = []
    for kind, values in (("gauge", gauges), ("counter", counters)):
        for name, value in values.items():
            lines += [f"# TYPE sip_node_{name} {kind}", f"sip_node_{name} {json.dumps(value)}"]
    return 200, "text/plain; version=0.0.4", "\n".join(lines) + "\n"
