"""The offline ear and voice as the last links of their chains."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from livekit import rtc
from livekit.agents import APIConnectOptions, stt
from switchboard.contracts.providers import OFFLINE

from voice_agent.offline.stt import OfflineSTT
from voice_agent.offline.voice import VOICE_RATE, VoiceSettings, speak

EAR_DEADLINE = 3.0
"""Seconds for a piece of speech that it is given late and whole; in time it has heard it while it was spoken."""

VOICE_DEADLINE = 3.0


class OfflineEar:
    """``EarLink`` over the offline ear. Says END_OF_SPEECH after each answer, so ``on_settled`` is not needed."""

    endpoint = OFFLINE
    deadline = EAR_DEADLINE

    def __init__(self, ear: OfflineSTT) -> None:
        self._ear = ear

    def listen(self, on_settled: Callable[[], None]) -> stt.RecognizeStream:
        return self._ear.stream(conn_options=APIConnectOptions(max_retry=0))


class OfflineVoice:
    """``VoiceLink`` over espeak-ng."""

    endpoint = OFFLINE
    deadline = VOICE_DEADLINE

    def __init__(self, settings: VoiceSettings) -> None:
        self._settings = settings

    async def speak(self, text: str) -> AsyncGenerator[rtc.AudioFrame, None]:
        chunks = speak(text, self._settings)
        try:
            async for chunk in chunks:
                if chunk:
                    yield rtc.AudioFrame(chunk, VOICE_RATE, 1, len(chunk) // 2)
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]

    def renew(self) -> None:
        """A process per sentence: nothing is kept."""

    async def probe(self) -> bool:
        return True
