"""What an authenticated request costs the gateway, against a bare FastAPI route and a bare ASGI application.

    python -m bench.gateway [--quick] [--accept] [--seed N]

``GET /v1/tenant`` with an API key: the gateway asks tenant-svc whose key it is and for the tenant, and answers. The peers
answer the same JSON and ask nobody. All three are processes of their own under the same uvicorn settings; CPU is
of the process under test. Eight connections, kept open for a batch. About two minutes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from fleet.person import open_account
from fleet.probes import http_ok
from fleet.process import ProcessSpec
from switchboard.http import client

from bench.frame import usage
from bench.frame.command import Options, Start, finish, run
from bench.frame.ground import Ground, ground
from bench.frame.interleave import CPU, LATENCY, Against, Batch, Side, interleave
from bench.frame.results import Role
from bench.http_peers import BODY

OURS, FASTAPI, ASGI = "api-gateway", "bare FastAPI route", "bare ASGI application"
GOAL = 1.5
CONNECTIONS = 8
UNLIMITED = {
    f"SWITCHBOARD_LIMITS__{policy}__{name}": value
    for policy in ("ADDRESS", "KEY", "TENANT")
    for name, value in (("QUOTA", "10000000"), ("WINDOW_S", "60"))
}
"""Every request is counted, and none is one too many."""
PATH = "/v1/tenant"


@dataclass
class Connection:
    """HTTP/1.1 over one connection, with as little work as can be: this process shares the machine with what it measures."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes
    expected: bytes

    @classmethod
    async def open(cls, port: int, headers: Mapping[str, str], expected: bytes) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [
            f"GET {PATH} HTTP/1.1",
            "host: localhost",
            *(f"{key}: {value}" for key, value in headers.items()),
            "",
            "",
        ]
        return cls(reader, writer, "\r\n".join(lines).encode(), expected)

    async def get(self) -> float:
        """Seconds; ``AssertionError`` for another answer than 200 with the expected body."""
        began = time.perf_counter()
        self.writer.write(self.request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await self.reader.readexactly(length)
        seconds = time.perf_counter() - began
        if not head.startswith(b"HTTP/1.1 200 ") or body != self.expected:
            raise AssertionError(f"answered {head[:40]!r}, {body[:80]!r}")
        return seconds

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def side(name: str, role: Role, port: int, headers: Mapping[str, str], expected: bytes, pid: int) -> Side:
    async def batch(units: int) -> Batch:
        seconds: list[float] = []

        async def work(connection: Connection) -> None:
            for _ in range(units // CONNECTIONS):
                seconds.append(await connection.get())

        # New ones for each batch: while the other sides have their turn, the server would close them as idle.
        async with AsyncExitStack() as stack:
            connections = [await Connection.open(port, headers, expected) for _ in range(CONNECTIONS)]
            for connection in connections:
                stack.push_async_callback(connection.close)
                await connection.get()
            before = usage.cpu_s([pid])
            await asyncio.gather(*(work(connection) for connection in connections))
            return Batch(len(seconds), tuple(seconds), usage.cpu_s([pid]) - before)

    return Side(name, role, batch)


async def peer(servers: Ground, kind: str, body: bytes) -> tuple[int, int]:
    """Starts it; port and pid."""
    port = servers.port()
    argv = (sys.executable, "-m", "bench.http_peers", kind, str(port))
    spec = ProcessSpec(kind, argv, env={BODY: body.decode()}, ready=http_ok(f"http://127.0.0.1:{port}{PATH}"))
    await servers.host.astart(spec)
    return port, servers.pid(kind)[0]


async def measure(options: Options, start: Start) -> int:
    units, blocks = (40, 2) if options.quick else (800, 10)
    async with ground("api-gateway", "tenant-svc", settings=UNLIMITED) as servers:
        layout = servers.layout
        account = await open_account(
            layout.api_url, layout.mailbox, name="Clinic", email="office@clinic.example", time_zone="UTC"
        )
        key = {"authorization": f"Bearer {account.api_key}"}
        async with client() as http:
            body = (await http.get(layout.api_url + PATH, headers=key)).raise_for_status().content
        gateway, fastapi, asgi = (
            layout.http_ports[OURS],
            await peer(servers, "fastapi", body),
            await peer(servers, "asgi", body),
        )
        sides = [
            side(OURS, "ours", gateway, key, body, servers.pid(OURS)[0]),
            side(FASTAPI, "peer", fastapi[0], {}, body, fastapi[1]),
            side(ASGI, "floor", asgi[0], {}, body, asgi[1]),
        ]
        trial = await interleave(sides, units=units, blocks=blocks, warmup=units)
    claims = [Against(FASTAPI, CPU, GOAL), Against(ASGI, CPU), Against(FASTAPI, LATENCY)]
    notes = [
        f"{CONNECTIONS} connections at once; an answer has {len(body)} bytes. Latency includes tenant-svc.",
        "The gateway logs every request, counts it and makes spans; a span is exported nowhere.",
    ]
    return finish("gateway", options, start, [trial.case(f"GET {PATH}", "request", claims, options.seed)], notes=notes)


def main(arguments: Sequence[str] | None = None) -> int:
    return run("The gateway against bare routes.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
