"""A child that writes more than anybody reads is ended all the same."""

from __future__ import annotations

import asyncio
import sys

import pytest
from switchboard.subprocesses import kill

pytestmark = pytest.mark.integration

FLOOD = "import sys\nwhile True: sys.stdout.write('x' * 1000000)"


@pytest.mark.parametrize("group", [False, True])
async def test_a_flooding_child_is_ended_though_its_pipe_is_full(group: bool) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FLOOD, stdout=asyncio.subprocess.PIPE, start_new_session=True, limit=1024
    )
    assert process.stdout is not None
    await process.stdout.read(100)
    async with asyncio.timeout(20):
        # Until the reader is so full that asyncio has stopped looking at the pipe.
        while not process.stdout._paused:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        await kill(process, group=group)
    assert process.returncode == -9


async def test_a_child_that_is_gone_already_is_fine() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "", stdout=asyncio.subprocess.PIPE)
    await process.wait()
    await kill(process)
    assert process.returncode == 0
