"""The whole conversation by text: core, loop, offline brain, and a retriever over a few passages."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, time

import pytest
from switchboard.clock import ManualClock
from switchboard.contracts.calls import EndReason
from switchboard.contracts.providers import ProviderFault
from switchboard.contracts.snapshot import Location, Opening, TenantSnapshot, TenantStatus
from switchboard.errors import Conflict, DeadlineExceeded
from voice_agent.adapters.offline_brain import OfflineBrain
from voice_agent.conversation import phrases
from voice_agent.conversation.core import initial
from voice_agent.conversation.models import (
    Answered,
    CallerLeft,
    CallerSpoke,
    Found,
    Heard,
    ReplyPart,
    ReplyReady,
    Respond,
    Say,
    SayMore,
    Source,
    SpeechEnded,
    State,
    TurnDone,
)
from voice_agent.drivers.loop import ConversationLoop
from voice_agent.drivers.text import TextConversation

pytestmark = pytest.mark.unit

CLOCK = ManualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))  # a Monday
SNAPSHOT = TenantSnapshot(
    tenant_id=uuid.uuid4(),
    version=1,
    published_at=CLOCK.now(),
    status=TenantStatus.LIVE,
    name="Harbour Clinic",
    time_zone="UTC",
    locations=(
        Location(
            id=uuid.uuid4(),
            name="Main",
            address="12 Mill Street",
            hours=(Opening(day="monday", opens=time(9), closes=time(17)),),
        ),
    ),
)


def source(text: str, heading: str = "Prices") -> Source:
    return Source(
        passage_id=uuid.uuid4(),
        document_id=uuid.uuid4(),
        document_name="prices.pdf",
        heading=heading,
        text=text,
        score=1.0,
        similarity=0.9,
    )


PASSAGES = (
    source("Treatment: Velora peel | Duration: 45 min | Price: $129"),
    source("Treatment: Root canal | Duration: 90 min | Price: $640"),
    source("Parking is free for two hours in the garage.", heading="Where can I park?"),
)


class Passages:
    """Returns everything; ``fails`` makes it unreachable."""

    def __init__(self, fails: bool = False, faults: tuple[ProviderFault, ...] = ()) -> None:
        self.fails = fails
        self.faults = faults
        self.asked: list[tuple[str, ...]] = []

    async def search(self, queries: Sequence[str]) -> Found:
        self.asked.append(tuple(queries))
        if self.fails:
            raise DeadlineExceeded
        return Found(sources=PASSAGES, faults=self.faults)


class Turns:
    def __init__(self) -> None:
        self.done: list[TurnDone] = []
        self.states: list[State] = []

    def turn(self, done: TurnDone, state_json: str) -> None:
        self.done.append(done)
        self.states.append(State.model_validate_json(state_json))


def conversation(passages: Passages, turns: Turns) -> TextConversation:
    return TextConversation(OfflineBrain(SNAPSHOT, CLOCK), passages, turns, CLOCK, greeting="Hello")


async def test_an_answer_is_what_the_document_says_and_cites_it() -> None:
    turns = Turns()
    async with conversation(Passages(), turns) as talk:
        said = await talk.say("how much is a root canal")
    assert "640 dollars" in said.text
    assert "129" not in said.text
    assert said.source == PASSAGES[1]
    assert turns.done[1].open.cited == PASSAGES[1].passage_id
    assert turns.states[1].history[-1].said == said.text


async def test_what_no_document_says_is_not_answered() -> None:
    async with conversation(Passages(), Turns()) as talk:
        said = await talk.say("do you have a swimming pool")
    assert said.kind in ("dont_know", "asked_again")
    assert said.source is None
    assert not any(character.isdigit() for character in said.text)


async def test_the_configuration_answers_too() -> None:
    async with conversation(Passages(), Turns()) as talk:
        said = await talk.say("when are you open on monday")
    assert said.kind == "answered"
    assert "nine" in said.text
    assert "five" in said.text


async def test_a_look_up_that_fails_is_said_to_fail() -> None:
    async with conversation(Passages(fails=True), Turns()) as talk:
        said = await talk.say("how much is a root canal")
    assert said.text == phrases.CANT_LOOK_UP


async def test_a_provider_that_gave_no_vectors_for_the_look_up_stands_in_the_turn() -> None:
    fault = ProviderFault(stage="embeddings", endpoint="openai", fault="timeout")
    turns = Turns()
    async with conversation(Passages(faults=(fault,)), turns) as talk:
        said = await talk.say("how much is a root canal")
    assert "640" in said.text
    assert turns.done[-1].open.faults == (fault,)


async def test_a_guess_is_confirmed_by_yes_in_the_next_turn() -> None:
    """The brain's memory of what it asked travels through the core's state."""
    async with conversation(Passages(), Turns()) as talk:
        guess = await talk.say("how much is the chocolate velora peel")
        assert (guess.kind, "Velora peel" in guess.text) == ("asked_again", True)
        confirmed = await talk.say("yes")
    assert "129 dollars" in confirmed.text


async def test_the_look_ahead_is_used_when_the_words_stay_as_they_were() -> None:
    passages = Passages()
    async with conversation(passages, Turns()) as talk:
        talk.loop.words_so_far("how much is a root canal")
        await talk.say("how much is a root canal")
        talk.loop.words_so_far("how much is a root")
        await talk.say("how much is a velora peel")
    assert passages.asked.count(("how much is a root canal",)) == 1
    assert ("how much is a velora peel",) in passages.asked


class Broken:
    """A brain, or a retriever, with an error in it."""

    async def respond(self, request: Respond) -> ReplyReady:
        raise IndexError("an error of ours")

    async def search(self, queries: Sequence[str]) -> Found:
        raise IndexError("an error of ours")


async def test_a_brain_that_breaks_does_not_end_the_call() -> None:
    async with TextConversation(Broken(), Passages(), Turns(), CLOCK, greeting="Hello") as talk, asyncio.timeout(5):
        assert (await talk.say("how much is a root canal")).text == phrases.CANT_LOOK_UP
        assert (await talk.say("how much is a root canal")).text == phrases.CANT_LOOK_UP


async def test_a_retriever_that_breaks_does_not_end_the_call() -> None:
    brain = OfflineBrain(SNAPSHOT, CLOCK)
    async with TextConversation(brain, Broken(), Turns(), CLOCK, greeting="Hello") as talk, asyncio.timeout(5):
        assert (await talk.say("how much is a root canal")).text == phrases.CANT_LOOK_UP


async def test_a_look_ahead_that_failed_is_looked_up_again() -> None:
    passages = Passages(fails=True)
    async with conversation(passages, Turns()) as talk:
        talk.loop.words_so_far("how much is a root canal")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        passages.fails = False
        said = await talk.say("how much is a root canal")
    assert "640 dollars" in said.text


async def test_who_goes_on_after_the_goodbye_is_told_that_it_is_over() -> None:
    async with conversation(Passages(), Turns()) as talk, asyncio.timeout(5):
        assert (await talk.say("goodbye")).kind == "goodbye"
        with pytest.raises(Conflict):
            await talk.say("hello")


class Streaming:
    """A brain whose second sentence may never come."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks = breaks
        self.stopped = 0

    async def reply(self, request: Respond) -> AsyncGenerator[ReplyPart, None]:
        try:
            yield ReplyPart(
                utterance=request.utterance, index=0, kind="answered", text="It is 129 dollars.", last=False
            )
            if self.breaks:
                raise IndexError("an error of ours")
            yield ReplyPart(utterance=request.utterance, index=1, kind="answered", text="Anything else?", last=True)
        finally:
            self.stopped += 1

    async def aclose(self) -> None:
        return


async def test_a_reply_in_pieces_is_read_whole() -> None:
    turns = Turns()
    async with TextConversation(Streaming(), Passages(), turns, CLOCK, greeting="Hello") as talk, asyncio.timeout(5):
        said = await talk.say("how much is a peel")
    assert said.text == "It is 129 dollars. Anything else?"
    assert turns.done[1].open.saying == said.text


async def test_a_reply_that_breaks_in_the_middle_is_owned_up_to() -> None:
    brain = Streaming(breaks=True)
    async with TextConversation(brain, Passages(), Turns(), CLOCK, greeting="Hello") as talk, asyncio.timeout(5):
        assert (await talk.say("how much")).text == f"It is 129 dollars. {phrases.LOST_THREAD}"
        assert (await talk.say("how much")).text == f"It is 129 dollars. {phrases.LOST_THREAD}"
    assert brain.stopped == 2


class Mouth:
    """Keeps what it is told to say; the test says when that was heard."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[Say | SayMore] = asyncio.Queue()

    def say(self, effect: Say) -> None:
        self.said.put_nowait(effect)

    def say_more(self, effect: SayMore) -> None:
        self.said.put_nowait(effect)


class Endless(Streaming):
    """A reply whose second sentence never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped_now = asyncio.Event()

    async def reply(self, request: Respond) -> AsyncGenerator[ReplyPart, None]:
        try:
            yield ReplyPart(
                utterance=request.utterance, index=0, kind="answered", text="It is 129 dollars.", last=False
            )
            await asyncio.Event().wait()
        finally:
            self.stopped_now.set()


async def test_a_reply_that_the_caller_interrupted_is_not_paid_for_any_longer() -> None:
    brain, mouth = Endless(), Mouth()
    loop = ConversationLoop(initial(1), mouth, brain, Passages(), Turns(), CLOCK)
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        loop.post(Answered(greeting="Hello"))
        await mouth.said.get()
        loop.post(SpeechEnded(utterance=1, heard="Hello", interrupted=False))
        loop.post(CallerSpoke(heard=(Heard(text="how much is a peel", confidence=1.0),)))
        await mouth.said.get()
        loop.post(SpeechEnded(utterance=2, heard="It is", interrupted=True))
        await brain.stopped_now.wait()
        assert not running.done()
        loop.post(CallerLeft(reason=EndReason.CALLER_HUNG_UP))
        await running
