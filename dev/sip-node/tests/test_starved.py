"""What the kernel says of waiting for a CPU."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from sip_node.testing.starved import CpuWait

pytestmark = pytest.mark.integration


async def start(text: str) -> asyncio.subprocess.Process:
    """Python on the first CPU; `text` runs once a line comes. Returns when it waits for that."""
    ready = f"import os, threading; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); print(flush=True)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{ready}\ninput()\n{text}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def test_who_would_run_waits_and_who_sleeps_does_not() -> None:
    """Two loops on one CPU: at any time one at least waits. They loop in threads that weren't there when it began."""
    loop = "threading.Thread(target=exec, args=('while True: pass',)).start()"
    started = [await start(text) for text in ("input()", loop, loop)]
    try:
        asleep, busy = CpuWait([started[0].pid]), CpuWait([process.pid for process in started[1:]])
        for process in started:
            assert process.stdin is not None
            process.stdin.write(b"\n")
        async with asyncio.timeout(20):
            while busy.threads() < 0.5:
                await asyncio.sleep(0.05)
        assert asleep.threads() < busy.threads() / 2
    finally:
        for process in started:
            process.kill()
            await process.wait()
