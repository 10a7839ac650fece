"""The voice: espeak-ng in a process per sentence, audio passed on while it speaks.

``speak(text, settings)`` yields 16-bit mono PCM; ``OfflineTTS`` is the same for a livekit ``AgentSession``. The text
goes in by standard input (never on a command line, which every user of the machine can read), sentence by sentence,
so that the first audio comes after about 20 ms. A cancelled synthesis kills its process before it returns.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from switchboard.subprocesses import kill

from voice_agent.offline.sound import Samples
from voice_agent.offline.spoken import sentences, spoken

VOICE_RATE = 22_050  # samples a second that espeak-ng makes
_HEADER = 44  # bytes of its WAV header
_CHUNK = VOICE_RATE // 10 * 2  # bytes: 100 ms


class VoiceFailure(RuntimeError):
    """espeak-ng can't be started or made no sound; the message names the fix and never the text."""


@dataclass(frozen=True)
class VoiceSettings:
    """`voice`: an espeak-ng voice, with variant ("en-us+f3"). `speed`: words a minute. `pitch`: 0 to 99."""

    voice: str = "en-us+f3"
    speed: int = 155
    pitch: int = 50

    def __post_init__(self) -> None:
        if not 80 <= self.speed <= 400:
            raise ValueError(f"speed: {self.speed} words a minute; give 80 to 400")
        if not 0 <= self.pitch <= 99:
            raise ValueError(f"pitch: {self.pitch}; give 0 to 99")

    def command(self) -> list[str]:
        """The program with its arguments; text on standard input, WAV on standard output."""
        options = ["-v", self.voice, "-s", str(self.speed), "-p", str(self.pitch), "--stdin", "--stdout"]
        return ["espeak-ng", *options]


def read_wav(raw: bytes) -> tuple[Samples, int]:
    """Samples and rate of a WAV that espeak-ng wrote to a pipe (its header can't know the length)."""
    start = raw.find(b"data")
    if raw[:4] != b"RIFF" or start < 0:
        raise VoiceFailure("espeak-ng wrote no WAV; is the voice installed? (espeak-ng --voices)")
    body = raw[start + 8 :]
    return np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.int16), struct.unpack_from("<i", raw, 24)[0]


async def _start(settings: VoiceSettings) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *settings.command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise VoiceFailure("espeak-ng is not on PATH; install the system package espeak-ng") from error


async def _one(sentence: str, settings: VoiceSettings) -> AsyncIterator[bytes]:
    process = await _start(settings)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(sentence.encode() + b"\n")
            await process.stdin.drain()
            process.stdin.close()
        with contextlib.suppress(asyncio.IncompleteReadError):
            await process.stdout.readexactly(_HEADER)
        rest = b""
        while chunk := await process.stdout.read(_CHUNK):
            whole = rest + chunk
            even = len(whole) // 2 * 2
            rest = whole[even:]
            yield whole[:even]
    finally:
        # also when the listener is gone in mid-sentence: nothing may go on speaking
        await asyncio.shield(kill(process))


async def speak(text: str, settings: VoiceSettings | None = None) -> AsyncIterator[bytes]:
    """PCM of `text` (any text; it is normalised), 22,050 samples a second, as it is made. Raises VoiceFailure.

    Close the iterator (``contextlib.aclosing``) to stop early.
    """
    for sentence in sentences(spoken(text)):
        async with contextlib.aclosing(_one(sentence, settings or VoiceSettings())) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk


class _Splitter:
    """Whole sentences out of tokens that arrive one by one."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, token: str) -> list[str]:
        self._text += token
        found = sentences(spoken(self._text)) if self._text.rstrip()[-1:] in ".!?" and token[-1:].isspace() else []
        if found:
            self._text = ""
        return found

    def flush(self) -> list[str]:
        text, self._text = self._text, ""
        return sentences(spoken(text))


class OfflineTTS(tts.TTS[str]):
    """espeak-ng as a livekit TTS: streaming, mono, `sample_rate` samples a second (resampled when not 22,050)."""

    def __init__(self, settings: VoiceSettings | None = None, *, sample_rate: int = VOICE_RATE) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=True), sample_rate=sample_rate, num_channels=1)
        self.settings = settings or VoiceSettings()

    @property
    def model(self) -> str:
        """Name in metrics."""
        return f"espeak-ng {self.settings.voice}"

    @property
    def provider(self) -> str:
        """Name in metrics."""
        return "offline"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """One whole text."""
        return _Chunked(tts=self, input_text=text, conn_options=conn_options)

    def stream(self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> tts.SynthesizeStream:
        """Tokens in, audio out, a sentence at a time."""
        return _Stream(tts=self, conn_options=conn_options)


async def _emit(sentence: str, voice: OfflineTTS, emitter: tts.AudioEmitter) -> None:
    resampler = None
    if voice.sample_rate != VOICE_RATE:
        resampler = rtc.AudioResampler(VOICE_RATE, voice.sample_rate, quality=rtc.AudioResamplerQuality.MEDIUM)
    try:
        async with contextlib.aclosing(_one(sentence, voice.settings)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                frames = resampler.push(bytearray(chunk)) if resampler else None
                emitter.push(chunk if frames is None else b"".join(bytes(f.data) for f in frames))
        if resampler and (rest := b"".join(bytes(f.data) for f in resampler.flush())):
            emitter.push(rest)
    except VoiceFailure as error:
        raise APIError(str(error), retryable=False) from error


def _silence(rate: int) -> bytes:
    """20 ms; for text without a sound, which livekit would report (with the text) as a failure."""
    return bytes(rate // 50 * 2)


class _Chunked(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice = self._tts
        assert isinstance(voice, OfflineTTS)
        output_emitter.initialize(
            request_id=utils.shortuuid(), sample_rate=voice.sample_rate, num_channels=1, mime_type="audio/pcm"
        )
        for sentence in sentences(spoken(self._input_text)):
            await _emit(sentence, voice, output_emitter)
        output_emitter.push(_silence(voice.sample_rate))
        output_emitter.flush()


class _Stream(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice, splitter = self._tts, _Splitter()
        assert isinstance(voice, OfflineTTS)
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=voice.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=50,
            stream=True,
        )
        output_emitter.start_segment(segment_id=utils.shortuuid())
        async for token in self._input_ch:
            whole = splitter.push(token) if isinstance(token, str) else splitter.flush()
            for sentence in whole:
                self._mark_started()
                await _emit(sentence, voice, output_emitter)
        for sentence in splitter.flush():
            await _emit(sentence, voice, output_emitter)
        if self._pushed_text.strip():
            self._mark_started()
            output_emitter.push(_silence(voice.sample_rate))
        output_emitter.end_segment()
