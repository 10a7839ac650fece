"""The voice with the real espeak-ng."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from livekit.agents import APIError
from voice_agent.offline.voice import VOICE_RATE, OfflineTTS, VoiceFailure, VoiceSettings, read_wav, speak

pytestmark = pytest.mark.integration
LONG = "This sentence goes on and on about the weather at the coast " * 40


def children() -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
            found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def collect(text: str, settings: VoiceSettings | None = None) -> bytes:
    return b"".join([chunk async for chunk in speak(text, settings)])


async def test_speech_is_repeatable_and_as_long_as_it_should_be() -> None:
    once, again = await collect("Velora peel costs $129."), await collect("Velora peel costs $129.")
    assert once == again
    assert 1.0 < len(once) / 2 / VOICE_RATE < 4.0
    slower = await collect("Velora peel costs $129.", VoiceSettings(speed=90))
    assert len(slower) > len(once)


async def test_a_cancelled_synthesis_leaves_no_process() -> None:
    before = children()
    async with contextlib.aclosing(speak(LONG)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            assert chunk
            assert children() - before
            break
    assert children() == before

    voice = OfflineTTS()
    stream = voice.stream()
    stream.push_text(LONG + ". ")
    stream.flush()
    await anext(stream)
    await stream.aclose()
    assert children() == before

    whole = voice.synthesize(LONG)
    await anext(whole)
    await whole.aclose()
    assert children() == before


@pytest.mark.parametrize("rate", [VOICE_RATE, 24_000])
async def test_tokens_in_audio_out(rate: int) -> None:
    stream = OfflineTTS(sample_rate=rate).stream()
    for token in ("Velora peel costs ", "$129. ", "Anything ", "else?"):
        stream.push_text(token)
    stream.end_input()
    frames = [event.frame async for event in stream]
    await stream.aclose()
    assert {frame.sample_rate for frame in frames} == {rate}
    assert 2.0 < sum(frame.duration for frame in frames) < 6.0


async def test_text_without_a_sound_is_no_error() -> None:
    async with OfflineTTS().synthesize("...") as stream:
        assert [event async for event in stream]


async def test_the_text_is_on_no_command_line() -> None:
    before = children()
    async with contextlib.aclosing(speak(LONG)) as chunks:  # type: ignore[type-var]
        async for _ in chunks:
            (child,) = children() - before
            assert b"weather" not in command_line(child)
            break


async def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VoiceFailure, match="install"):
        await collect("hello")
    with pytest.raises(APIError, match="install"):
        async with OfflineTTS().synthesize("hello") as stream:
            await asyncio.wait_for(anext(stream), 10)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="speed"):
        VoiceSettings(speed=5)
    with pytest.raises(ValueError, match="pitch"):
        VoiceSettings(pitch=100)
    with pytest.raises(VoiceFailure, match="no WAV"):
        read_wav(b"nothing")
