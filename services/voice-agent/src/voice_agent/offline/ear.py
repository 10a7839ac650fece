"""The ear: an asynchronous client of the decoding child process.

    ear = Ear()
    await ear.load(speech_model)            # the tenant's language model; starts the child (about a second)
    await ear.start(); await ear.feed(pcm); text = await ear.interim(); heard = await ear.finish()
    await ear.aclose()

Decoding goes on while the caller speaks; `finish` answers within a few tens of milliseconds after the last audio. A
child that dies or doesn't answer is replaced, told the language model and the utterance so far again, and the failure
is counted (`failures`); only when the replacement fails too does the call see an error, and the next utterance tries
afresh.
"""

import asyncio
import contextlib
import json
import sys
from collections import deque

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from voice_agent.offline import ear_wire
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.language_model import SpeechModel
from voice_agent.offline.sound import EAR_RATE

_LONGEST_UTTERANCE = 30 * EAR_RATE * 2  # bytes kept for a replacement; older audio is dropped
_INTERIM_PATIENCE = 0.5  # seconds
_START_TIMEOUT = 20.0  # seconds: a cold interpreter on a busy machine
Pcm = bytes | memoryview | NDArray[np.int16]


class EarFailure(RuntimeError):
    """The offline ear failed. Tree: EarCrashed (child gone), EarStuck (no answer in time), EarRefused (bad model)."""


class EarCrashed(EarFailure):
    """The decoding process ended by itself; a new one is started with the next utterance."""


class EarStuck(EarFailure):
    """The decoding process gave no answer in time and was killed."""


class EarRefused(EarFailure):
    """The decoding process can't load the acoustic or language model; the message says why. Not retried."""


class _Child:
    """One child process and the answers that are awaited from it, in order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._awaited: deque[asyncio.Future[tuple[bytes, bytes]]] = deque()
        self._reader = asyncio.create_task(self._read(), name="offline-ear-reader")

    @classmethod
    async def spawn(cls) -> "_Child":
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voice_agent.offline.ear_child",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 22,
        )  # fmt: skip
        return cls(process)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, size = ear_wire.HEAD.unpack(await self.process.stdout.readexactly(ear_wire.HEAD.size))
                body = await self.process.stdout.readexactly(size) if size else b""
                if self._awaited:
                    answer = self._awaited.popleft()
                    if not answer.done():
                        answer.set_result((kind, body))
        while self._awaited:
            answer = self._awaited.popleft()
            if not answer.done():
                answer.set_exception(EarCrashed("the decoding process ended"))

    async def tell(self, kind: bytes, body: bytes = b"") -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(ear_wire.pack(kind, body))
            await self.process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise EarCrashed("the decoding process ended") from error

    async def ask(self, kind: bytes, body: bytes, *, timeout: float) -> bytes:
        if self._reader.done():
            raise EarCrashed("the decoding process ended")
        answer: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._awaited.append(answer)
        try:
            async with asyncio.timeout(timeout):
                await self.tell(kind, body)
                got, text = await answer
        except TimeoutError as error:
            raise EarStuck(f"no answer from the decoding process in {timeout:g} s") from error
        if got == ear_wire.REFUSED:
            raise EarRefused(text.decode(errors="replace"))
        return text

    async def end(self) -> None:
        """Kills the process (it keeps nothing) and waits for it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._reader
        if self.process.stdin is not None:
            self.process.stdin.close()
            with contextlib.suppress(ConnectionError):
                await self.process.stdin.wait_closed()


class Ear:
    """Hears one call, one utterance at a time; not for two tasks at once.

    `timeout`: seconds that an answer may take before the child counts as stuck.
    """

    def __init__(self, *, timeout: float = 5.0) -> None:
        self._timeout = timeout
        self._model: SpeechModel | None = None
        self._child: _Child | None = None
        self._said = bytearray()
        self._open = False
        self._interim = ""
        self._resampler: rtc.AudioResampler | None = None
        self._rate = EAR_RATE
        self.failures: list[EarFailure] = []

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return self._child.process.pid if self._child else None

    async def load(self, model: SpeechModel) -> None:
        """Takes a tenant's language model; starts the child. Raises EarFailure."""
        self._model = model
        self._open = False
        self._said.clear()
        await self._replace()

    async def _replace(self) -> _Child:
        if self._child is not None:
            await self._child.end()
            self._child = None
        if self._model is None:
            raise EarRefused("no language model yet: call load() first")
        child = self._child = await _Child.spawn()
        head = json.dumps({"arpa": len(self._model.arpa)}).encode()
        body = len(head).to_bytes(4, "little") + head + self._model.arpa + self._model.dictionary
        try:
            await child.ask(ear_wire.LOAD, body, timeout=_START_TIMEOUT)
        except EarFailure:
            await child.end()
            self._child = None
            raise
        if self._open:
            await child.tell(ear_wire.START)
            if self._said:
                await child.tell(ear_wire.AUDIO, bytes(self._said))
        return child

    async def _recover(self, error: EarFailure) -> _Child:
        self.failures.append(error)
        if isinstance(error, EarRefused):
            raise error
        return await self._replace()

    async def start(self) -> None:
        """Begins an utterance; an unfinished one is dropped. Raises EarFailure when no child can be started."""
        self._said.clear()
        self._interim = ""
        self._open = True
        self._resampler = None
        if self._child is None:
            await self._replace()
            return
        try:
            await self._child.tell(ear_wire.START)
        except EarFailure as error:
            await self._recover(error)

    async def feed(self, pcm: Pcm, *, rate: int = EAR_RATE) -> None:
        """Audio of the open utterance: 16-bit mono at `rate` samples a second (resampled when not 16,000)."""
        if not self._open:
            raise EarRefused("no utterance is open: call start() first")
        raw = pcm.tobytes() if isinstance(pcm, np.ndarray) else bytes(pcm)
        raw = self._at_ear_rate(raw, rate)
        self._said += raw
        del self._said[: max(0, len(self._said) - _LONGEST_UTTERANCE)]
        if not raw or self._child is None:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._child.tell(ear_wire.AUDIO, raw)
        except TimeoutError:
            await self._recover(EarStuck("the decoding process takes no more audio"))
        except EarFailure as error:
            await self._recover(error)

    def _at_ear_rate(self, raw: bytes, rate: int) -> bytes:
        if rate == EAR_RATE:
            return raw
        if self._resampler is None or self._rate != rate:
            self._rate = rate
            self._resampler = rtc.AudioResampler(rate, EAR_RATE, quality=rtc.AudioResamplerQuality.HIGH)
        return b"".join(bytes(frame.data) for frame in self._resampler.push(bytearray(raw)))

    async def _ask(self, kind: bytes) -> bytes:
        for second in (False, True):
            child = self._child or await self._replace()
            try:
                # a replacement first catches up with the whole utterance
                return await child.ask(kind, b"", timeout=self._timeout * (3 if second else 1))
            except EarFailure as error:
                if second:
                    self.failures.append(error)
                    await child.end()
                    self._child = None
                    raise
                await self._recover(error)
        raise AssertionError("unreachable")

    async def interim(self) -> str:
        """The best reading so far, "" when there is none; the one before when the child is behind with its work.

        Raises EarFailure when the child is gone and a replacement failed too.
        """
        if not self._open:
            return ""
        child = self._child or await self._replace()
        try:
            self._interim = (await child.ask(ear_wire.INTERIM, b"", timeout=_INTERIM_PATIENCE)).decode()
        except EarStuck:
            pass  # a busy machine: not worth a new child, the late answer is dropped when it comes
        except EarFailure as error:
            await self._recover(error)
        return self._interim

    async def finish(self) -> Hypotheses:
        """Ends the utterance. Raises EarFailure when a replacement failed too; the utterance is over in any case."""
        if not self._open:
            return Hypotheses()
        if self._resampler is not None and (rest := b"".join(bytes(f.data) for f in self._resampler.flush())):
            self._resampler = None
            await self.feed(rest)
        try:
            return Hypotheses.from_json(json.loads(await self._ask(ear_wire.FINISH)))
        finally:
            self._open = False
            self._said.clear()

    async def reset(self) -> None:
        """Drops the open utterance."""
        self._open = False
        self._said.clear()
        if self._child is not None:
            try:
                await self._child.tell(ear_wire.ABANDON)
            except EarFailure as error:
                await self._recover(error)

    async def aclose(self) -> None:
        """Ends the child; the ear can be loaded again."""
        child, self._child, self._open = self._child, None, False
        if child is not None:
            await child.end()
