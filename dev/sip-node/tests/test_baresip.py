"""A caller nobody here wrote."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
from fleet.servers import LiveKitServer
from sip_node.testing.baresip import BaresipPorts, call_once, read_wave
from sip_node.testing.bridge import Bridge, OpenLine
from sip_node.testing.likeness import likeness
from sip_node.testing.media import Samples, resample, tone, tone_share
from sip_node.testing.starved import CpuWait

pytestmark = pytest.mark.integration

SENTENCE = (
    "Good morning, this is the dental clinic. A cleaning costs eighty five dollars. Would you like an appointment?"
)


async def spoken(text: str, path: Path) -> tuple[Samples, int]:
    """espeak-ng's reading of `text`, and its rate."""
    process = await asyncio.create_subprocess_exec("espeak-ng", "-w", str(path), text)
    assert await process.wait() == 0
    return read_wave(path)


async def test_baresip_hears_the_room_and_is_heard(bridge: Bridge, open_line: OpenLine, tmp_path: Path) -> None:
    """baresip 1.0.0: tones both ways on the node and on livekit-sip 1.10.0."""
    line = await open_line(bridge)
    agent = await line.agent(hertz=700)
    speech = np.concatenate((tone(440, 6), np.zeros(16000, dtype=np.int16)))
    rtp = bridge.host.ports.block(20)
    ports = BaresipPorts(bridge.host.ports.one(), bridge.host.ports.one(), (rtp.start, rtp.stop - 1))
    target = f"sip:{line.number}@{bridge.sip[0]}:{bridge.sip[1]}"
    heard = await call_once(tmp_path / "baresip", ports, target, speech, seconds=6)
    await agent.see("left")
    assert ("status", "active") in agent.events
    assert len(heard) > 2 * 8000, (tmp_path / "baresip" / "baresip.log").read_text()
    assert tone_share(heard[4000:-4000], 700) > 0.9
    loud = agent.heard[np.abs(agent.heard.astype(np.int32)) > 1000]
    assert len(loud) > 8000
    assert tone_share(agent.heard[-24000:-8000], 440) > 0.5


async def test_speech_survives_both_ways(
    bridge: Bridge, livekit_server: LiveKitServer, open_line: OpenLine, tmp_path: Path
) -> None:
    """The same sentence both ways in one call: every part is there, whole, in time, as far as the machine lets it.

    Where programs on the way wait for a CPU, speech is late, jitter buffers stretch and cut it, and some of it is lost,
    with livekit-sip as with the node. So the limits grow with how many threads of the bridge, the server and this process
    were ready and waited, as the kernel counts.
    """
    line = await open_line(bridge)
    samples, rate = await spoken(SENTENCE, tmp_path / "sentence.wav")
    said = resample(samples, rate, 8000)
    agent = await line.agent()
    await agent.say(samples, rate)
    speech = np.concatenate((np.zeros(4000, dtype=np.int16), said, np.zeros(24000, dtype=np.int16)))
    rtp = bridge.host.ports.block(20)
    ports = BaresipPorts(bridge.host.ports.one(), bridge.host.ports.one(), (rtp.start, rtp.stop - 1))
    target = f"sip:{line.number}@{bridge.sip[0]}:{bridge.sip[1]}"
    of = bridge.host.supervisor.pid_of
    waiting = CpuWait((of(bridge.name), of(livekit_server.spec.name), os.getpid()))
    heard = await call_once(tmp_path / "baresip", ports, target, speech, seconds=10)
    await agent.see("left")
    threads = waiting.threads()
    ways = {"room -> caller": likeness(said, heard), "caller -> room": likeness(said, agent.heard)}
    print(f"{ways}; threads that waited for a CPU: {threads:.2f}")
    for way, found in ways.items():
        # The last limits are where another sentence would be.
        assert found.correlation > max(0.6, 0.9 - 0.1 * threads), (way, found, threads)
        assert found.lost <= min(found.segments / 2, 4 + 8 * threads), (way, found, threads)
        assert found.missing_ms <= 60 + 100 * threads, (way, found, threads)
        assert found.moved_ms <= 100 + 300 * threads, (way, found, threads)
