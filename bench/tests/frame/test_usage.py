"""CPU and memory of real processes."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from bench.frame import usage

pytestmark = pytest.mark.integration

# Burns 0.3 s of CPU in a child, then as much itself, holding 64 MB; says so, waits for its input to close.
WORK = """
import subprocess, sys, time
BURN = "import time\\nwhile time.process_time() < 0.3: pass"
subprocess.run([sys.executable, "-c", BURN])
ballast = bytearray(64_000_000)
begun = time.process_time()
while time.process_time() < begun + 0.3: pass
idle = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print("done", flush=True)
sys.stdin.read()
idle.stdin.close()
idle.wait()
"""


async def test_a_tree_is_counted_with_children_that_have_ended() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORK, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"done\n"
    assert len(usage.tree(process.pid)) == 2
    assert 0.6 <= usage.cpu_s([process.pid]) < 2
    assert 64e6 < usage.pss_bytes([process.pid]) < 200e6
    process.stdin.close()
    await process.wait()


def test_cpu_of_this_process_only_grows() -> None:
    before = usage.cpu_s([os.getpid()])
    sum(range(1_000_000))
    assert usage.cpu_s([os.getpid()]) > before
