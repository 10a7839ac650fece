"""baresip as the caller: its folder, one call, and the recording of what it heard."""

from __future__ import annotations

import asyncio
import signal
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sip_node.testing.media import Samples

_CONFIG = """module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module account.so
module menu.so
module ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
sip_listen 127.0.0.1:{sip}
audio_source aufile,{speech}
audio_player aubridge,sink
audio_alert aubridge,sink
snd_path {recordings}
rtp_ports {low}-{high}
audio_buffer 20-160
jitter_buffer_delay 1-5
"""


@dataclass(frozen=True)
class BaresipPorts:
    sip: int
    control: int
    rtp: tuple[int, int]


def write_wave(path: Path, samples: Samples, rate: int = 8000) -> None:
    """16-bit mono, the only form baresip's file source takes."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())


def read_wave(path: Path) -> tuple[Samples, int]:
    """Samples and rate."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16), file.getframerate()


async def call_once(folder: Path, ports: BaresipPorts, target: str, speech: Samples, seconds: int) -> Samples:
    """Dial `target`, say `speech`, listen `seconds`; returns what was heard at 8 kHz (empty when not connected)."""
    recordings = folder / "recordings"
    recordings.mkdir(parents=True)
    write_wave(folder / "speech.wav", speech)
    (folder / "contacts").write_text("")
    account = "<sip:15557777@127.0.0.1>;regint=0;audio_codecs=PCMU,PCMA;ptime=20\n"
    (folder / "accounts").write_text(account)
    config = _CONFIG.format(
        control=ports.control,
        sip=ports.sip,
        speech=folder / "speech.wav",
        recordings=recordings,
        low=ports.rtp[0],
        high=ports.rtp[1],
    )
    (folder / "config").write_text(config)
    log = (folder / "baresip.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-f", str(folder), "-t", str(seconds), "-e", f"/dial {target}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        await asyncio.wait_for(process.wait(), seconds + 10)
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    finally:
        log.close()
    found = sorted(recordings.glob("dump-*-dec.wav"))
    return read_wave(found[0])[0] if found else np.zeros(0, dtype=np.int16)
