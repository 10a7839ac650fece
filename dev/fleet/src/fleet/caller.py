"""The audible caller: baresip places the call (SIP over UDP, G.711 at 20 ms), we decide what it says and when.

baresip's file source reads one whole file and hangs up at its end. So each thing to say is a file that goes on in
silence, and the source is changed in mid-call by its `ausrc` command; RTP goes on without a gap.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fleet.files import find_program, write_private
from fleet.ports import PortPool
from fleet.process import FleetError, ProcessSpec, RunningProcess, tail
from fleet.speech import RATE, Samples, write_wav
from fleet.tap import LOOK_EVERY, Tap, Track

MODULES = ("g711", "aufile", "aubridge", "sndfile", "account", "menu", "ctrl_tcp")
MODULE_PATH = Path("/usr/lib/baresip/modules")
SILENCE_SECONDS = 180
RENEW_SILENCE_AFTER = 120.0
COMMAND_TIMEOUT = 5.0


class CallFailed(FleetError):
    """The call was not answered, or ended before its time; the message is the SIP side's reason."""


@dataclass(frozen=True)
class PhoneLine:
    """Who calls: number and name in From, and digest credentials when the trunk asks for them."""

    number: str
    auth_user: str = ""
    auth_password: str = ""
    name: str = ""

    def account(self) -> str:
        """baresip's account line: never registers, G.711 only."""
        shown = f'"{self.name}" ' if self.name else ""
        line = f"{shown}<sip:{self.number}@127.0.0.1>;regint=0;audio_codecs=PCMU,PCMA;ptime=20"
        if self.auth_user:
            line += f";auth_user={self.auth_user};auth_pass={self.auth_password}"
        return line + "\n"


class Caller:
    """A phone. `heard` is what comes back, `said` what goes out, both live; use `phone()` to make one."""

    def __init__(self, folder: Path, sip_port: int) -> None:
        self.folder = folder
        self.sip_port = sip_port
        self.heard = Track("from the agent")
        self.said = Track("from the caller")
        self.established_at: float | None = None
        self.dialled_at: float | None = None
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._taps = (Tap(folder / "rec", "-dec", self.heard), Tap(folder / "rec", "-enc", self.said))
        self._responses: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._count = 0
        self._source_changed_at = 0.0

    @property
    def recording(self) -> Path | None:
        """The WAV of what was heard; complete when the phone is put away."""
        return self._taps[0].path

    async def dial(self, uri: str, timeout: float = 20.0) -> None:
        """Calls and waits for the answer. CallFailed with the SIP reason, or when nobody answers in time."""
        self.dialled_at = asyncio.get_running_loop().time()
        await self._command("dial", uri)
        answered: asyncio.Future[Any] = self._answered
        closed: asyncio.Future[Any] = self.closed
        await asyncio.wait([answered, closed], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self.closed.done():
            raise CallFailed(f"the call was not answered: {self.closed.result()}")
        if not self._answered.done():
            await self.hang_up()
            raise CallFailed(f"the call was not answered within {timeout:g} s")

    async def say(self, samples: Samples) -> float:
        """Starts to speak (whatever was being said is cut off) and returns when the sound began to go out.

        `await caller.said.until_silence(...)` waits for its end.
        """
        before = asyncio.get_running_loop().time()
        await self._play(samples)
        return await self.said.until_speech(before, timeout=COMMAND_TIMEOUT)

    async def hush(self) -> None:
        """Stops speaking at once."""
        await self._play(np.zeros(0, dtype=np.int16))

    async def _play(self, samples: Samples) -> None:
        self._count += 1
        path = self.folder / "say" / f"{self._count:03d}.wav"
        silence = np.zeros(SILENCE_SECONDS * RATE, dtype=np.int16)
        await asyncio.to_thread(write_wav, path, np.concatenate([samples, silence]))
        await self._command("ausrc", f"aufile,{path}")
        self._source_changed_at = asyncio.get_running_loop().time()
        for older in (self.folder / "say").glob("*.wav"):
            # baresip has read a file whole when it answers the command.
            older.unlink()

    async def press(self, digits: str) -> None:
        """Sends DTMF digits as RFC 4733 events."""
        for digit in digits:
            await self._command("sndcode", digit)

    async def hang_up(self) -> None:
        """Ends the call; returns when it is over."""
        if not self.closed.done():
            with suppress(FleetError):
                await self._command("hangup", "")
            await asyncio.wait([self.closed], timeout=COMMAND_TIMEOUT)

    async def _command(self, name: str, params: str) -> dict[str, Any]:
        if self._writer is None:
            raise FleetError("the phone is not connected")
        self._count += 1
        token = f"{name}-{self._count}"
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._responses[token] = future
        body = json.dumps({"command": name, "params": params, "token": token}).encode()
        self._writer.write(b"%d:%s," % (len(body), body))
        try:
            answer = await asyncio.wait_for(future, COMMAND_TIMEOUT)
        except TimeoutError:
            raise FleetError(f"baresip didn't answer the command {name}") from None
        finally:
            del self._responses[token]
        if not answer.get("ok"):
            raise FleetError(f"baresip refused the command {name}: {answer.get('data', '')}")
        return answer

    async def attach(self, port: int, process: RunningProcess) -> None:
        """Connects to the control port as soon as it listens."""
        while True:
            if process.exited.done():
                raise FleetError(f"baresip did not start; the end of {process.log}:\n{tail(process.log)}")
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.wait([process.exited], timeout=0.02)
            else:
                self._reader = reader
                return

    def detach(self) -> None:
        """Closes the control connection."""
        if self._writer is not None:
            self._writer.close()

    async def read_events(self) -> None:
        """Takes baresip's answers and events until the connection ends."""
        buffer = b""
        while chunk := await self._reader.read(4096):
            buffer += chunk
            while (parsed := netstring(buffer)) is not None:
                body, buffer = parsed
                self._on_message(json.loads(body))
        self._on_closed("the phone was put away")

    def _on_message(self, message: dict[str, Any]) -> None:
        if message.get("response"):
            future = self._responses.get(str(message.get("token")))
            if future is not None and not future.done():
                future.set_result(message)
        elif message.get("type") == "CALL_ESTABLISHED":
            self.established_at = asyncio.get_running_loop().time()
            if not self._answered.done():
                self._answered.set_result(None)
        elif message.get("type") == "CALL_CLOSED":
            self._on_closed(str(message.get("param") or "hung up"))

    def _on_closed(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
            for track in (self.heard, self.said):
                track.end(f"the call ended: {reason}")

    def on_task_end(self, task: asyncio.Task[None]) -> None:
        """A reader that failed ends the call for everybody who waits on it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_closed(f"the phone broke: {error!r}")

    async def follow(self) -> None:
        """Reads both recordings as they grow, and renews the silence before its file ends."""
        clock = asyncio.get_running_loop().time
        while True:
            for tap in self._taps:
                tap.poll(clock())
            talking = self.established_at is not None and not self.closed.done()
            if talking and clock() - max(self._source_changed_at, self.established_at or 0.0) > RENEW_SILENCE_AFTER:
                self._source_changed_at = clock()
                await self.hush()
            await asyncio.sleep(LOOK_EVERY)


def netstring(buffer: bytes) -> tuple[bytes, bytes] | None:
    """The first `LENGTH:BODY,` of a buffer and what follows it; None while it isn't whole."""
    length, colon, rest = buffer.partition(b":")
    if not colon or len(rest) < int(length) + 1:
        return None
    return rest[: int(length)], rest[int(length) + 1 :]


@asynccontextmanager
async def phone(folder: Path, ports: PortPool, line: PhoneLine) -> AsyncIterator[Caller]:
    """A running baresip with its files in `folder` (a fresh one per phone); hangs up and ends with the block."""
    (folder / "rec").mkdir(parents=True, exist_ok=True)
    # baresip takes the port after its SIP port for TLS.
    caller = Caller(folder, ports.block(2).start)
    control = ports.one()
    configure(folder, line, caller.sip_port, control, ports.block(10))
    program = find_program("baresip", "Debian package baresip-core")
    spec = ProcessSpec("baresip", (str(program), "-f", str(folder)), stop_signal=signal.SIGTERM, grace=3.0)
    process = RunningProcess(spec, folder / "baresip.log")
    try:
        async with asyncio.timeout(10):
            await caller.attach(control, process)
        tasks = [asyncio.create_task(caller.read_events()), asyncio.create_task(caller.follow())]
        for task in tasks:
            task.add_done_callback(caller.on_task_end)
        try:
            yield caller
        finally:
            await caller.hang_up()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        caller.detach()
        await process.stop()


def configure(folder: Path, line: PhoneLine, sip_port: int, control: int, rtp: range) -> None:
    """Writes baresip's folder."""
    silence = folder / "silence.wav"
    write_wav(silence, np.zeros(SILENCE_SECONDS * RATE, dtype=np.int16))
    text = f"module_path {MODULE_PATH}\n"
    text += "".join(f"module {module}.so\n" for module in MODULES)
    text += (
        f"ctrl_tcp_listen 127.0.0.1:{control}\n"
        f"sip_listen 127.0.0.1:{sip_port}\n"
        f"audio_source aufile,{silence}\n"
        "audio_player aubridge,sink\n"
        "audio_alert aubridge,sink\n"
        f"snd_path {folder / 'rec'}\n"
        f"rtp_ports {rtp.start}-{rtp.stop - 1}\n"
        "audio_buffer 20-160\n"
        "jitter_buffer_delay 1-5\n"
        "statmode_default off\n"
    )
    write_private(folder / "config", text)
    write_private(folder / "accounts", line.account())
    write_private(folder / "contacts", "")
