"""Answers begun in a pause: which are used, which are dropped, and what they may not do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime

import pytest
from switchboard.clock import ManualClock
from switchboard.contracts.calls import EndReason
from switchboard.contracts.providers import ProviderFault
from voice_agent.conversation.core import initial, step
from voice_agent.conversation.models import (
    Answered,
    CallerLeft,
    CallerSpoke,
    Event,
    Found,
    Heard,
    PassagesFound,
    ReplyPart,
    Respond,
    Retrieve,
    Say,
    SayMore,
    Source,
    SpeechEnded,
    State,
    TurnDone,
)
from voice_agent.drivers.ahead import MOST_GUESSES, Lookahead, Speculation, words_of
from voice_agent.drivers.loop import ConversationLoop

pytestmark = pytest.mark.unit

PASSAGE = Source(
    passage_id=uuid.uuid4(), document_id=uuid.uuid4(), document_name="prices", heading="Prices",
    text="Velora peel: $129", score=1.0, similarity=0.9,
)  # fmt: skip
QUESTION = "How much is a Velora peel"


class Documents:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.found: tuple[Source, ...] = (PASSAGE,)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def search(self, queries: Sequence[str]) -> Found:
        self.asked.append(tuple(queries))
        await self.may_answer.wait()
        return Found(sources=self.found)


class Model:
    """Two sentences; ``may_answer`` lets it."""

    def __init__(self) -> None:
        self.asked: list[Respond] = []
        self.left = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fails: Exception | None = None
        self.faults: tuple[ProviderFault, ...] = ()

    async def reply(self, request: Respond) -> AsyncGenerator[ReplyPart, None]:
        self.asked.append(request)
        try:
            await self.may_answer.wait()
            if self.fails is not None:
                raise self.fails
            for at, text in enumerate(("It costs 129 dollars.", "Anything else?")):
                faults = self.faults if at == 0 else ()
                last = at == 1
                yield ReplyPart(
                    utterance=request.utterance, index=at, kind="answered", text=text, last=last, faults=faults
                )
        finally:
            self.left += 1

    async def aclose(self) -> None:
        return


class Fixture:
    """A call in which the greeting has been heard."""

    def __init__(self) -> None:
        self.documents, self.model = Documents(), Model()
        self.prepared: list[str] = []
        self.lookahead = Lookahead(self.documents)
        self.ahead = Speculation(self.model, self.lookahead, self.prepared.append)
        state, _ = step(initial(1), Answered(greeting="Hello."))
        self.state: State = step(state, SpeechEnded(utterance=1, heard="Hello.", interrupted=False))[0]

    async def asked(self, text: str, *, sources: tuple[Source, ...] = (PASSAGE,)) -> Respond:
        """What the core asks when the turn ends with these words."""
        after, effects = step(self.state, CallerSpoke(heard=(Heard(text=text, confidence=0.9),)))
        (retrieve,) = effects
        assert isinstance(retrieve, Retrieve)
        await self.lookahead.search(retrieve.queries)
        _, effects = step(after, PassagesFound(utterance=retrieve.utterance, sources=sources))
        (respond,) = effects
        assert isinstance(respond, Respond)
        return respond


@pytest.fixture
def one() -> Fixture:
    return Fixture()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_answer_begun_in_a_pause_is_the_answer_to_the_same_words(one: Fixture) -> None:
    """The final transcript has marks and capitals of its own; one search and one request were made."""
    one.ahead.begin(one.state, "how much is a velora peel")
    await settle()
    assert one.prepared == ["It costs 129 dollars."]
    request = await one.asked(f"{QUESTION}?")
    taken = one.ahead.take(request)
    assert taken is not None
    parts = [part async for part in taken]
    assert [part.text for part in parts] == ["It costs 129 dollars.", "Anything else?"]
    assert {part.utterance for part in parts} == {request.utterance}
    assert (len(one.model.asked), len(one.documents.asked)) == (1, 1)


@pytest.mark.parametrize("words", ["how much is a velora", "how much is a velora wrap", "no how much is a velora peel"])
async def test_an_answer_to_other_words_is_dropped(one: Fixture, words: str) -> None:
    one.model.may_answer.clear()
    one.ahead.begin(one.state, words)
    await settle()
    assert one.ahead.take(await one.asked(QUESTION)) is None
    await settle()
    assert one.model.left == 1


async def test_an_answer_from_other_passages_is_dropped(one: Fixture) -> None:
    one.ahead.begin(one.state, QUESTION)
    await settle()
    assert one.ahead.take(await one.asked(QUESTION, sources=())) is None


async def test_words_with_an_account_of_the_ear_are_answered_anew(one: Fixture) -> None:
    one.ahead.begin(one.state, QUESTION)
    await settle()
    request = await one.asked(QUESTION)
    assert one.ahead.take(request.model_copy(update={"detail": ({"alternatives": []},)})) is None


async def test_nothing_is_begun_while_the_agent_speaks(one: Fixture) -> None:
    """What the caller heard of it isn't known yet, and belongs to the question."""
    speaking, _ = step(initial(1), Answered(greeting="Hello."))
    one.ahead.begin(speaking, QUESTION)
    await settle()
    assert one.model.asked == []


async def test_a_turn_with_many_pauses_costs_a_few_requests(one: Fixture) -> None:
    for at in range(MOST_GUESSES + 3):
        one.ahead.begin(one.state, f"how much is peel number {at}")
        one.ahead.begin(one.state, f"How much is peel number {at}?")
        await settle()
    assert len(one.model.asked) == MOST_GUESSES
    one.ahead.take(await one.asked(QUESTION))
    one.ahead.begin(one.state, QUESTION)
    await settle()
    assert len(one.model.asked) == MOST_GUESSES + 1


async def test_a_guess_that_failed_fails_for_who_takes_it(one: Fixture) -> None:
    """As the brain itself would have."""
    one.model.fails = RuntimeError("broke")
    one.ahead.begin(one.state, QUESTION)
    await settle()
    taken = one.ahead.take(await one.asked(QUESTION))
    assert taken is not None
    with pytest.raises(RuntimeError, match="broke"):
        await anext(taken)


async def test_what_failed_in_a_guess_that_was_dropped_is_told(one: Fixture) -> None:
    """The model rests since then, so that the answer itself meets no fault; the record must name it all the same."""
    one.model.faults = (ProviderFault(stage="llm", endpoint="main", fault="reset", served_by="offline"),)
    one.ahead.begin(one.state, "how much is a velora")
    await settle()
    one.ahead.begin(one.state, QUESTION)
    one.model.faults = ()
    await settle()
    assert one.ahead.take(await one.asked(QUESTION)) is not None
    assert [fault.endpoint for fault in one.ahead.take_faults()] == ["main"]
    assert one.ahead.take_faults() == ()


async def test_at_the_end_of_the_call_nothing_goes_on(one: Fixture) -> None:
    one.model.may_answer.clear()
    one.ahead.begin(one.state, QUESTION)
    await settle()
    one.ahead.close()
    await settle()
    assert one.model.left == 1


async def test_a_look_up_that_was_begun_serves_all_who_want_it(one: Fixture) -> None:
    one.lookahead.begin("how much is a velora peel")
    await one.asked(f"{QUESTION}.")
    await one.asked(QUESTION)
    assert len(one.documents.asked) == 1
    one.lookahead.drop()
    await one.asked(QUESTION)
    assert len(one.documents.asked) == 2  # the documents may have changed since that turn


async def test_newer_words_do_not_end_a_look_up_that_is_waited_for(one: Fixture) -> None:
    """The caller goes on while the turn that has just ended is looked up."""
    one.documents.may_answer.clear()
    waiting = asyncio.create_task(one.lookahead.search((QUESTION,)))
    await settle()
    one.lookahead.begin("and where can I park")
    await settle()
    one.documents.may_answer.set()
    assert (await waiting).sources == (PASSAGE,)
    assert len(one.documents.asked) == 2


def test_words_are_compared_without_what_is_written_around_them() -> None:
    assert words_of("How much is it, on Mill Street?") == words_of("how much is it on mill street")
    assert words_of("it isn't") != words_of("it is")


class Turns:
    def __init__(self) -> None:
        self.done: list[TurnDone] = []

    def turn(self, done: TurnDone, state_json: str) -> None:
        self.done.append(done)


class Mouth:
    """Says everything at once."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.post: Callable[[Event], None] = lambda event: None

    def say(self, effect: Say) -> None:
        self.said.append(effect.text)
        if not effect.more:
            self._end(effect.utterance)

    def say_more(self, effect: SayMore) -> None:
        self.said.append(effect.text)
        if effect.last:
            self._end(effect.utterance)

    def _end(self, utterance: int) -> None:
        self.post(SpeechEnded(utterance=utterance, heard="all", interrupted=False))


async def test_the_loop_answers_with_what_was_begun_in_the_pause(one: Fixture) -> None:
    mouth, turns = Mouth(), Turns()
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    loop = ConversationLoop(initial(1), mouth, one.model, one.documents, turns, clock, one.prepared.append)
    mouth.post = loop.post
    running = asyncio.create_task(loop.run())
    loop.post(Answered(greeting="Hello."))
    await settle()
    one.model.faults = (ProviderFault(stage="llm", endpoint="main", fault="reset", served_by="offline"),)
    loop.pause("how much is a velora")
    await settle()
    one.model.faults = ()
    loop.pause(QUESTION)
    await settle()
    assert mouth.said == ["Hello."]  # nothing of it is said before the turn is over
    loop.post(CallerSpoke(heard=(Heard(text=f"{QUESTION}?", confidence=0.9),)))
    await settle()
    assert mouth.said[1:] == ["It costs 129 dollars.", "Anything else?"]
    assert len(one.model.asked) == 2
    assert [fault.endpoint for fault in turns.done[-1].open.faults] == ["main"]
    loop.post(CallerLeft(reason=EndReason.CALLER_HUNG_UP))
    await running
