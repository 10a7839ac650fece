"""The voice's chain over simulated voices: what is spoken by whom, what is not repeated, what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from livekit import rtc
from switchboard.contracts.providers import OFFLINE
from voice_agent.chains.breaker import Breaker
from voice_agent.chains.tts import RATE, Speaker
from voice_agent.conversation import phrases
from voice_agent.drivers.speech_account import BrokenSentence, SpeechAccount

pytestmark = pytest.mark.unit

FIRST = "A Velora peel costs 129 dollars."
SECOND = "Would you like anything else?"
TENTH = RATE // 10


class Voice:
    """Speaks 14 characters a second, 100 ms at a time; ``fails`` after ``seconds`` of each sentence."""

    def __init__(self, endpoint: str, fails: Exception | str | None = None, seconds: float = 0.0) -> None:
        self.endpoint, self.deadline = endpoint, 0.03
        self.fails, self.seconds = fails, seconds
        self.spoke: list[str] = []
        self.renewed = 0

    async def speak(self, text: str) -> AsyncGenerator[rtc.AudioFrame, None]:
        self.spoke.append(text)
        wanted = round(len(text) / 14 * 10)
        for at in range(wanted):
            if self.fails is not None and at >= round(self.seconds * 10):
                if self.fails == "stall":
                    await asyncio.Event().wait()
                elif isinstance(self.fails, Exception):
                    raise self.fails
                return
            yield rtc.AudioFrame(bytes(TENTH * 2), RATE, 1, TENTH)

    def renew(self) -> None:
        self.renewed += 1

    async def probe(self) -> bool:
        return True


async def never(_: float) -> None:
    await asyncio.Event().wait()


class Fixture:
    def __init__(self, *voices: Voice) -> None:
        self.account = SpeechAccount()
        self.pushed = 0
        self.breaker = Breaker(sleep=never)
        self.speaker = Speaker(voices, self.breaker, self.account, self._push)

    def _push(self, samples: bytes) -> None:
        self.pushed += len(samples)

    async def say(self, *sentences: str) -> None:
        for sentence in sentences:
            await self.speaker.say(sentence)
        await self.speaker.finish()
        await self.breaker.aclose()

    def faults(self) -> list[tuple[str, str, str]]:
        return [(f.endpoint, f.fault, f.served_by) for f in self.account.faults]

    def heard(self, *sentences: str) -> str:
        return self.account.heard(" ".join(sentences), interrupted=False)


async def test_a_voice_that_works_says_everything() -> None:
    one = Fixture(Voice("main"), Voice(OFFLINE))
    await one.say(FIRST, SECOND)
    assert one.faults() == []
    assert one.heard(FIRST, SECOND) == f"{FIRST} {SECOND}"


@pytest.mark.parametrize(
    ("fails", "fault"), [("stall", "timeout"), (ConnectionResetError(), "reset"), ("nothing", "bad_answer")]
)
async def test_a_sentence_that_made_no_sound_is_spoken_by_the_next_voice(fails: Exception | str, fault: str) -> None:
    main, spare = Voice("main", fails), Voice(OFFLINE)
    one = Fixture(main, spare)
    await one.say(FIRST, SECOND)
    assert len(spare.spoke) == 2
    assert len(main.spoke) == 1  # it rests: the second sentence does not wait for it
    assert main.renewed == 1
    assert one.faults() == [("main", fault, OFFLINE)]
    assert one.heard(FIRST, SECOND) == f"{FIRST} {SECOND}"


@pytest.mark.parametrize(
    ("fails", "fault"), [("stall", "timeout"), (ConnectionResetError(), "reset"), ("nothing", "cut_off")]
)
async def test_a_sentence_that_stopped_in_the_middle_is_not_repeated(fails: Exception | str, fault: str) -> None:
    spare = Voice(OFFLINE)
    one = Fixture(Voice("main", fails, seconds=0.8), spare)
    await one.say(FIRST, SECOND)
    assert spare.spoke == [SECOND, phrases.VOICE_BROKE]
    assert one.faults() == [("main", fault, OFFLINE)]
    assert one.account.added == phrases.VOICE_BROKE
    assert one.heard(FIRST, SECOND) == f"A Velora {SECOND} {phrases.VOICE_BROKE}"


async def test_a_syllable_is_no_sentence() -> None:
    spare = Voice(OFFLINE)
    one = Fixture(Voice("main", "stall", seconds=0.1), spare)
    await one.say(FIRST)
    assert len(spare.spoke) == 1
    assert one.account.broken == []


async def test_when_no_voice_is_left_nothing_is_said_to_have_been_heard() -> None:
    one = Fixture(Voice("main", ConnectionRefusedError()), Voice(OFFLINE, RuntimeError("no espeak")))
    await one.say(FIRST)
    assert one.heard(FIRST) == ""
    assert ("main", "refused", "") in one.faults()
    assert one.account.added == ""


def test_what_was_heard_of_an_interrupted_utterance_with_a_broken_sentence() -> None:
    account = SpeechAccount(broken=[BrokenSentence(FIRST, "A Velora")], added=phrases.VOICE_BROKE)
    assert account.heard(f"{FIRST} Would", interrupted=True) == "A Velora Would"
    assert account.heard("A Velora peel cos", interrupted=True) == "A Velora"
    assert account.heard("A Vel", interrupted=True) == "A Vel"
    assert account.heard("", interrupted=True) == ""
    assert SpeechAccount().heard("A Vel", interrupted=True) == "A Vel"
