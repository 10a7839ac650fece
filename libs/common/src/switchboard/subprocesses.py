"""Ending a child process for good."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


async def kill(process: asyncio.subprocess.Process, *, group: bool = False) -> None:
    """SIGKILL (``group``: to the whole session that it leads), and wait until it is gone; fine if it is gone already.

    asyncio reports a process's end only when its pipes have ended too, and a pipe whose reader is full is not looked at. So
    what was on its way is read and dropped first; waiting without that can last for ever.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            if group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            while await pipe.read(1 << 20):
                pass
    await process.wait()
