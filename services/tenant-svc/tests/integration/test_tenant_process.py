"""``python -m tenant_svc`` as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import pytest
from tenant_svc.settings import Settings
from tenant_svc.testing import environment

pytestmark = pytest.mark.integration


async def start(variables: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tenant_svc"),
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_serves_and_stops_cleanly_when_told_to(settings: Settings) -> None:
    process = await start(environment(settings))
    assert process.stdout is not None
    events = []
    async with asyncio.timeout(60):
        while raw := await process.stdout.readline():
            line = json.loads(raw)
            events.append(line["event"])
            if line["event"] == "serving":
                process.send_signal(signal.SIGTERM)
        code = await process.wait()
    assert (code, events[-1]) == (0, "stopped")


async def test_without_settings_it_says_what_is_missing() -> None:
    process = await start({"SWITCHBOARD_OPERATORS__TOKEN": "hunter2"})
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode == 78
    for name in ("DATABASE__DSN", "NATS__URL", "LIVEKIT__URL", "PLATFORM__CARRIER_ADDRESSES", "OPERATORS__TOKEN"):
        assert f"SWITCHBOARD_{name}" in said.decode()
    assert "hunter2" not in said.decode()
