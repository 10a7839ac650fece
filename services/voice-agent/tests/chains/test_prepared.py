"""Sentences that are spoken before they are wanted: whose sound is used, whose is not, and what a failure of theirs does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from livekit import rtc
from switchboard.contracts.providers import OFFLINE
from voice_agent.chains.breaker import Breaker
from voice_agent.chains.prepared import Shelf
from voice_agent.chains.tts import RATE, ChainedTTS, Speaker
from voice_agent.drivers.speech_account import SpeechAccount

pytestmark = pytest.mark.unit

SENTENCE = "A Velora peel costs 129 dollars."
TENTH = RATE // 10


class Voice:
    """Speaks each sentence in thirty frames; ``fails`` is raised after ``good`` of them."""

    def __init__(self, endpoint: str, fails: Exception | None = None, good: int = 0) -> None:
        self.endpoint, self.deadline = endpoint, 0.5
        self.fails, self.good = fails, good
        self.spoke: list[str] = []
        self.finished = 0
        self.left = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def speak(self, text: str) -> AsyncGenerator[rtc.AudioFrame, None]:
        self.spoke.append(text)
        try:
            for at in range(30):
                await self.may_go_on.wait()
                if self.fails is not None and at >= self.good:
                    raise self.fails
                yield rtc.AudioFrame(bytes(TENTH * 2), RATE, 1, TENTH)
            self.finished += 1
        finally:
            self.left.set()

    def renew(self) -> None:
        return

    async def probe(self) -> bool:
        return True


async def never(_: float) -> None:
    await asyncio.Event().wait()


def chain(*voices: Voice) -> tuple[ChainedTTS, Speaker, SpeechAccount, list[bytes]]:
    made = ChainedTTS(voices, Breaker(sleep=never))
    account, pushed = SpeechAccount(), list[bytes]()
    return made, Speaker(voices, made.breaker, account, pushed.append, made.shelf), account, pushed


async def test_a_prepared_sentence_is_not_asked_for_again_and_is_there_at_once() -> None:
    voice = Voice("main")
    made, speaker, _, pushed = chain(voice, Voice(OFFLINE))
    made.speak_ahead(f"{SENTENCE} Would you like anything else?")
    await voice.left.wait()
    assert await speaker.say(SENTENCE)
    assert len(voice.spoke) == 1
    assert len(pushed) == 30


async def test_the_rest_of_a_sentence_in_the_making_follows() -> None:
    voice = Voice("main")
    voice.may_go_on.clear()
    made, speaker, _, pushed = chain(voice, Voice(OFFLINE))
    made.speak_ahead(SENTENCE)
    saying = asyncio.create_task(speaker.say(SENTENCE))
    await asyncio.sleep(0)
    voice.may_go_on.set()
    assert await saying
    assert (len(voice.spoke), len(pushed)) == (1, 30)


async def test_another_sentence_is_spoken_anew_and_the_prepared_one_is_kept_for_once() -> None:
    voice = Voice("main")
    made, speaker, _, _ = chain(voice, Voice(OFFLINE))
    made.speak_ahead(SENTENCE)
    assert await speaker.say("Something else.")
    assert await speaker.say(SENTENCE)
    assert await speaker.say(SENTENCE)
    assert len(voice.spoke) == 3  # the prepared one, the other, and the repetition


async def test_a_newer_guess_ends_the_older_one() -> None:
    voice = Voice("main")
    voice.may_go_on.clear()
    made, _, _, _ = chain(voice, Voice(OFFLINE))
    made.speak_ahead(SENTENCE)
    await asyncio.sleep(0)
    made.speak_ahead("Something else.")
    await voice.left.wait()
    assert voice.finished == 0
    await made.aclose()


async def test_the_same_guess_twice_is_one() -> None:
    voice = Voice("main")
    made, _, _, _ = chain(voice, Voice(OFFLINE))
    made.speak_ahead(SENTENCE)
    made.speak_ahead(SENTENCE)
    await voice.left.wait()
    assert len(voice.spoke) == 1


async def test_a_voice_that_failed_while_preparing_is_followed_by_the_next_one() -> None:
    broken, offline = Voice("main", ConnectionResetError()), Voice(OFFLINE)
    made, speaker, account, pushed = chain(broken, offline)
    made.speak_ahead(SENTENCE)
    await broken.left.wait()
    assert await speaker.say(SENTENCE)
    assert len(pushed) == 30
    assert [(fault.endpoint, fault.served_by) for fault in account.faults] == [("main", OFFLINE)]


async def test_nothing_is_prepared_in_the_offline_voice() -> None:
    """It takes the processor of this machine, which the call needs now."""
    offline = Voice(OFFLINE)
    made, _, _, _ = chain(offline)
    made.speak_ahead(SENTENCE)
    await asyncio.sleep(0)
    assert offline.spoke == []


async def test_a_shelf_gives_a_sentence_to_its_own_voice_only() -> None:
    shelf, voice = Shelf(), Voice("main")
    shelf.speak_ahead("main", SENTENCE, lambda: voice.speak(SENTENCE))
    assert shelf.take("other", SENTENCE) is None
    ready = shelf.take("main", SENTENCE)
    assert ready is not None
    assert len([frame async for frame in ready.frames()]) == 30
