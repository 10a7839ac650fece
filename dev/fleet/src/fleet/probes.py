"""Readiness probes: each returns when the server answers, and raises with a reason when it doesn't."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from fleet.process import Probe


async def exchange(host: str, port: int, request: bytes, timeout: float = 2.0) -> bytes:
    """Connects, sends, and reads until the other side closes. Raises OSError or TimeoutError."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(request)
            await writer.drain()
            answer = b""
            while chunk := await reader.read(4096):
                answer += chunk
            return answer
        finally:
            writer.close()


def tcp(host: str, port: int) -> Probe:
    """Ready when the port accepts a connection."""

    async def probe() -> None:
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()

    return probe


def http_ok(url: str) -> Probe:
    """Ready when GET answers 200. A few lines of HTTP by hand: a probe needs no client and no pool."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()

    async def probe() -> None:
        answer = await exchange(host, port, request)
        status = answer.split(b"\r\n", 1)[0]
        if status.split(b" ")[1:2] != [b"200"]:
            body = answer.partition(b"\r\n\r\n")[2][:300].decode("utf-8", "replace")
            raise ConnectionError(f"{url} answered {status.decode('latin-1') or 'nothing'} {body}".rstrip())

    return probe


def redis_ping(host: str, port: int, password: str) -> Probe:
    """Ready when PING answers PONG: it accepts connections before the append-only file is loaded."""
    request = f"*2\r\n$4\r\nAUTH\r\n${len(password)}\r\n{password}\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n".encode()

    async def probe() -> None:
        answer = await exchange(host, port, request, timeout=1.0)
        if not answer.startswith(b"+OK\r\n+PONG"):
            raise ConnectionError(f"redis answered {answer[:80]!r}")

    return probe
