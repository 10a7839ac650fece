"""A whole process, told to stop in different moments."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration

PROGRAM = '''
import asyncio, sys
from switchboard.service import run
from switchboard.settings import ServiceSettings, load_or_exit

async def hold(scope, receive, send):
    """FastAPI and Litestar are tried in test_frameworks; this one holds a request until the file appears."""
    from pathlib import Path
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    print("holding", flush=True)
    while not Path(sys.argv[2]).exists():
        await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})

async def compose(service):
    mode = sys.argv[1]
    if mode == "stuck":
        print("composing", flush=True)
        await asyncio.Event().wait()
    if mode == "fails":
        raise RuntimeError("cannot compose")
    async def drained():
        print("drained", flush=True)
    async def closed():
        print("closed", flush=True)
    service.on_drain(drained)
    service.on_close(closed)
    if mode == "fatal":
        asyncio.get_running_loop().call_soon(service.fatal, "bus closed")
    if mode == "task":
        async def crash():
            raise RuntimeError("crashed")
        service.background("crash", crash())
    return None if mode == "none" else hold

run("sample", load_or_exit(ServiceSettings), compose)
'''


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any] | str] = []
        self.base = ""

    async def line(self, wanted: str) -> dict[str, Any] | str:
        """The next output line that is ``wanted`` (as it is, or a log line's event)."""
        assert self.process.stdout is not None
        while raw := await self.process.stdout.readline():
            text = raw.decode().strip()
            parsed = json.loads(text) if text.startswith("{") else text
            self.lines.append(parsed)
            if parsed == wanted or (isinstance(parsed, dict) and parsed["event"] == wanted):
                return parsed
        raise AssertionError(f"ended without {wanted!r}: {self.lines}")

    async def serving(self) -> None:
        line = await self.line("serving")
        assert isinstance(line, dict)
        self.base = f"http://127.0.0.1:{line['port']}"

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def started(tmp_path: Path, mode: str, **extra: str) -> AsyncIterator[Process]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "SWITCHBOARD_HTTP__PORT": "0", **extra}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), mode, str(tmp_path / "release")),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def assert_stays_reachable(base: str) -> None:
    """For longer than uvicorn would take to close the socket and cut the request that is held."""
    for _ in range(15):
        async with httpx.AsyncClient(timeout=60) as fresh:
            assert (await fresh.get(f"{base}/health/ready")).status_code == 503
        await asyncio.sleep(0.1)


async def test_sigterm_lets_the_request_in_flight_finish_and_refuses_new_ones(tmp_path: Path) -> None:
    async with (
        started(tmp_path, "serve", SWITCHBOARD_HTTP__DRAIN_GRACE_S="60") as program,
        httpx.AsyncClient(timeout=60) as client,
    ):
        await program.serving()
        assert (await client.get(f"{program.base}/health/ready")).status_code == 200
        held = asyncio.create_task(client.get(f"{program.base}/held"))
        await program.line("holding")

        program.terminate()
        await program.line("draining")
        await assert_stays_reachable(program.base)
        ready = await client.get(f"{program.base}/health/ready")
        live = await client.get(f"{program.base}/health/live")
        refused = await client.get(f"{program.base}/held")
        (tmp_path / "release").touch()

        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert live.status_code == 200
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:switchboard:problem:unavailable")
        assert refused.headers["content-type"] == "application/problem+json"
        assert (await held).text == "done"
        assert await program.process.wait() == 0
        await program.line("closed")


async def test_work_that_outlasts_the_grace_is_cut_and_the_status_says_so(tmp_path: Path) -> None:
    async with started(tmp_path, "serve", SWITCHBOARD_HTTP__DRAIN_GRACE_S="0.2") as program:
        await program.serving()
        async with httpx.AsyncClient(timeout=60) as client:
            held = asyncio.create_task(client.get(f"{program.base}/held"))
            await program.line("holding")
            program.terminate()
            assert await program.process.wait() == 1
            await asyncio.gather(held, return_exceptions=True)


async def test_a_second_signal_cuts_the_wait(tmp_path: Path) -> None:
    async with started(tmp_path, "serve", SWITCHBOARD_HTTP__DRAIN_GRACE_S="600") as program:
        await program.serving()
        async with httpx.AsyncClient(timeout=60) as client:
            held = asyncio.create_task(client.get(f"{program.base}/held"))
            await program.line("holding")
            program.terminate()
            await program.line("draining")
            program.terminate()
            assert await program.process.wait() == 1
            await asyncio.gather(held, return_exceptions=True)


@pytest.mark.parametrize(("mode", "status"), [("none", 0), ("fatal", 1), ("task", 1), ("fails", 1)])
async def test_the_exit_status_tells_a_stop_from_a_failure(tmp_path: Path, mode: str, status: int) -> None:
    async with started(tmp_path, mode) as program:
        if mode == "none":
            await program.serving()
            program.terminate()
        assert await program.process.wait() == status
        if mode != "fails":
            await program.line("drained")
            await program.line("closed")


async def test_sigterm_while_composing_ends_it_at_once(tmp_path: Path) -> None:
    async with started(tmp_path, "stuck") as program:
        await program.line("composing")
        program.terminate()
        assert await program.process.wait() == 0


async def test_missing_settings_are_listed_and_the_status_is_78(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SWITCHBOARD_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), "serve", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 78
    assert "SWITCHBOARD_HTTP__PORT is missing" in errors.decode()


async def test_a_taken_port_is_named_with_its_variable(tmp_path: Path) -> None:
    async with started(tmp_path, "serve") as first:
        await first.serving()
        port = first.base.rpartition(":")[2]
        async with started(tmp_path, "serve", SWITCHBOARD_HTTP__PORT=port) as second:
            line = await second.line("the process failed")
            assert isinstance(line, dict)
            assert f"port {port}" in line["exception"][0]["message"]
            assert "SWITCHBOARD_HTTP__PORT" in line["exception"][0]["message"]
            assert await second.process.wait() == 1
