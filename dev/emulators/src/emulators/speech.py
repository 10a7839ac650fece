"""Synthesised speech for every protocol: espeak-ng at the rate that was asked for, with the time of each character.

A text is spoken sentence by sentence, each in a process of its own, and resampled in a thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import numpy as np
from voice_agent.offline.sound import resample
from voice_agent.offline.spoken import sentences, spoken
from voice_agent.offline.voice import VOICE_RATE, VoiceSettings, speak

PIECE_MS = 100
"""How much audio one message or chunk carries."""

_PLAIN = VoiceSettings("en-us", 155, 50)
DEFAULT_VOICES: dict[str, VoiceSettings] = {
    # OpenAI's names (its API reference, audio/speech)
    "alloy": _PLAIN,
    "ash": replace(_PLAIN, voice="en-us+m2"),
    "ballad": replace(_PLAIN, voice="en-us+m4"),
    "coral": replace(_PLAIN, voice="en-us+f2"),
    "echo": replace(_PLAIN, voice="en-us+m1"),
    "fable": replace(_PLAIN, voice="en-gb"),
    "onyx": replace(_PLAIN, voice="en-us+m7"),
    "nova": replace(_PLAIN, voice="en-us+f3"),
    "sage": replace(_PLAIN, voice="en-us+f4"),
    "shimmer": replace(_PLAIN, voice="en-us+f5"),
    "verse": replace(_PLAIN, voice="en-us+m5"),
    "marin": replace(_PLAIN, voice="en-us+f1"),
    "cedar": replace(_PLAIN, voice="en-us+m6"),
    # the livekit plugins' defaults: ElevenLabs, Cartesia
    "hpp4J3VqNfWAUOO0d1Us": _PLAIN,
    "f786b574-daa5-4673-aa0c-cbe3e8534c02": _PLAIN,
}


class Voices:
    """The voices of the account: what each id sounds like. The operator may add some."""

    def __init__(self) -> None:
        self._known = dict(DEFAULT_VOICES)

    def get(self, identity: str) -> VoiceSettings | None:
        """The voice, or None when the account has none of this id."""
        return self._known.get(identity)

    def add(self, identity: str, settings: VoiceSettings) -> None:
        self._known[identity] = settings

    def names(self) -> list[str]:
        return list(self._known)


@dataclass(frozen=True)
class Spoken:
    """One sentence: its text as given, and its sound (16-bit mono at `rate` samples a second)."""

    text: str
    pcm: bytes
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / self.rate

    def characters(self) -> list[tuple[str, float, float]]:
        """Each character with its start and duration in seconds: the sound shared evenly, as nobody measured it."""
        share = self.seconds / max(1, len(self.text))
        return [(char, at * share, share) for at, char in enumerate(self.text)]

    def words(self) -> list[tuple[str, float, float]]:
        """Each word with its start and end in seconds, by its place in the text."""
        share = self.seconds / max(1, len(self.text))
        return [(m[0], m.start() * share, m.end() * share) for m in re.finditer(r"\S+", self.text)]

    def pieces(self) -> list[bytes]:
        """The sound in pieces of 100 ms."""
        size = self.rate * PIECE_MS // 1000 * 2
        return [self.pcm[at : at + size] for at in range(0, len(self.pcm), size)]


def at_speed(voice: VoiceSettings, factor: float) -> VoiceSettings:
    """The same voice faster or slower, within what espeak-ng can do."""
    return replace(voice, speed=max(80, min(400, round(voice.speed * factor))))


async def utter(text: str, voice: VoiceSettings, rate: int) -> AsyncIterator[Spoken]:
    """The sentences of a text, spoken one after the other. Raises VoiceFailure when espeak-ng can't."""
    for sentence in sentences(text):
        if spoken(sentence):
            yield await _sentence(sentence, voice, rate)


async def _sentence(sentence: str, voice: VoiceSettings, rate: int) -> Spoken:
    made = b"".join([chunk async for chunk in speak(sentence, voice)])
    samples = np.frombuffer(made, "<i2").astype(np.int16)
    if rate != VOICE_RATE:
        samples = await asyncio.to_thread(resample, samples, VOICE_RATE, rate)
    return Spoken(sentence, samples.astype("<i2").tobytes(), rate)
