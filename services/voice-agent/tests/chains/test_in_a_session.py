"""The chains in livekit's own session, with ears and mouth of its kind but no room: no fault of a provider closes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io
from switchboard.contracts.providers import OFFLINE
from voice_agent.chains.breaker import Breaker
from voice_agent.chains.tts import RATE, ChainedTTS
from voice_agent.conversation import phrases
from voice_agent.drivers.pieces import Words
from voice_agent.drivers.speech_account import SpeechAccount, speech_account

pytestmark = pytest.mark.integration

TENTH = RATE // 10
FIRST = "A Velora peel costs 129 dollars."
SECOND = "Would you like anything else?"


class Mouth(io.AudioOutput):
    """Plays in no time."""

    def __init__(self) -> None:
        super().__init__(label="test", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self.seconds = 0.0
        self._segment = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._segment:
            self.on_playback_started(created_at=0.0)
        self._segment += frame.duration

    def flush(self) -> None:
        super().flush()
        self._finish(interrupted=False)

    def clear_buffer(self) -> None:
        self._finish(interrupted=True)

    def _finish(self, *, interrupted: bool) -> None:
        if self._segment:
            self.seconds += self._segment
            played, self._segment = self._segment, 0.0
            self.on_playback_finished(playback_position=played, interrupted=interrupted)


class Voice:
    """A voice at 14 characters a second that stops after ``tenths`` of a second, for ever or with an error."""

    def __init__(self, endpoint: str, tenths: int | None = None, error: Exception | None = None) -> None:
        self.endpoint, self.deadline, self.tenths, self.error = endpoint, 0.03, tenths, error

    async def speak(self, text: str) -> AsyncGenerator[rtc.AudioFrame, None]:
        for at in range(round(len(text) / 14 * 10)):
            if at == self.tenths:
                if self.error is not None:
                    raise self.error
                await asyncio.Event().wait()
            yield rtc.AudioFrame(bytes(TENTH * 2), RATE, 1, TENTH)

    def renew(self) -> None:
        return

    async def probe(self) -> bool:
        return True


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


class Stage:
    def __init__(self, *voices: Voice) -> None:
        self.chain = ChainedTTS(voices, Breaker(sleep=at_once))
        self.session: AgentSession[None] = AgentSession(tts=self.chain, user_away_timeout=None)
        self.mouth = Mouth()
        self.closed = asyncio.Event()
        self.errors: list[Any] = []

    async def start(self) -> None:
        self.session.on("close", lambda _: self.closed.set())
        self.session.on("error", self.errors.append)
        self.session.output.audio = self.mouth
        await self.session.start(Agent(instructions=""), record=False)

    async def say(self, *sentences: str) -> tuple[str, SpeechAccount]:
        """As the room's driver does; what was heard, and the voice's account."""
        account, words = SpeechAccount(), Words()
        context = speech_account.set(account)
        try:
            handle = self.session.say(words)
        finally:
            speech_account.reset(context)
        for sentence in sentences:
            words.add(sentence)
            await asyncio.sleep(0)
        words.end()
        async with asyncio.timeout(20):
            await handle.wait_for_playout()
        items: list[Any] = handle.chat_items
        heard = " ".join(item.text_content or "" for item in items).strip()
        return account.heard(heard, interrupted=handle.interrupted), account


@pytest.fixture
async def stages() -> AsyncIterator[list[Stage]]:
    made: list[Stage] = []
    yield made
    for stage in made:
        await stage.session.aclose()
        await stage.chain.aclose()


async def test_each_utterance_has_its_own_account(stages: list[Stage]) -> None:
    stage = Stage(Voice("main", 8), Voice(OFFLINE))
    stages.append(stage)
    await stage.start()
    heard, account = await stage.say(FIRST, SECOND)
    assert heard == f"A Velora {SECOND} {phrases.VOICE_BROKE}"
    assert [(f.endpoint, f.fault, f.served_by) for f in account.faults] == [("main", "timeout", OFFLINE)]


@pytest.mark.parametrize("error", [None, ConnectionResetError(), RuntimeError("x")])
async def test_a_provider_that_fails_every_time_never_closes_the_session(
    stages: list[Stage], error: Exception | None
) -> None:
    """The session gives up after three errors that are not its own; these are ours."""
    stage = Stage(Voice("main", 0, error), Voice(OFFLINE))
    stages.append(stage)
    await stage.start()
    for _ in range(6):
        heard, account = await stage.say(FIRST, SECOND)
        assert heard == f"{FIRST} {SECOND}"
        assert {f.served_by for f in account.faults} <= {OFFLINE}
    assert stage.mouth.seconds > 6 * 3.5
    assert not stage.closed.is_set()
    assert stage.errors == []


async def test_not_even_with_no_voice_at_all(stages: list[Stage]) -> None:
    stage = Stage(Voice("main", 0), Voice(OFFLINE, 0, RuntimeError("no espeak")))
    stages.append(stage)
    await stage.start()
    for _ in range(4):
        heard, account = await stage.say(FIRST)
        assert heard == ""
        assert account.added == ""
    assert not stage.closed.is_set()
    assert stage.errors == []
