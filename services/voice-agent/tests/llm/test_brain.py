"""The brain over simulated models: what is spoken, what is not, and who takes over when a model fails."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from switchboard.clock import ManualClock
from switchboard.contracts.providers import OFFLINE, ProviderFault
from switchboard.contracts.snapshot import TenantSnapshot, TenantStatus
from switchboard.errors import DeadlineExceeded
from voice_agent.chains.breaker import Breaker
from voice_agent.conversation import phrases
from voice_agent.conversation.models import Exchange, Found, Heard, ReplyPart, ReplyReady, Respond, Source
from voice_agent.llm.brain import MAX_SEARCHES, LlmBrain
from voice_agent.llm.chat import END_CALL, SEARCH, Called, ChatItem, ToolResult

pytestmark = pytest.mark.unit

CLOCK = ManualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
SNAPSHOT = TenantSnapshot(
    tenant_id=uuid.uuid4(),
    version=1,
    published_at=CLOCK.now(),
    status=TenantStatus.LIVE,
    name="Harbour Clinic",
    time_zone="UTC",
)
PEEL = Source(
    passage_id=uuid.UUID(int=1),
    document_id=uuid.UUID(int=2),
    document_name="prices.pdf",
    heading="Prices",
    text="Velora peel | $129",
    score=1.0,
    similarity=0.8,
)
MASSAGE = PEEL.model_copy(update={"passage_id": uuid.UUID(int=3), "text": "Massage | $95"})

STALL = object()
Script = Sequence[object]


class Model:
    """Plays one script a request: words, calls, an exception to raise, or ``STALL``."""

    def __init__(self, *scripts: Script, endpoint: str = "main", deadline: float = 0.05) -> None:
        self.endpoint, self.deadline = endpoint, deadline
        self.scripts = list(scripts)
        self.asked: list[tuple[list[ChatItem], bool]] = []
        self.closed = 0

    async def chat(self, items: Sequence[ChatItem], *, may_search: bool) -> AsyncGenerator[str | Called, None]:
        self.asked.append((list(items), may_search))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for step in script:
                if step is STALL:
                    await asyncio.Event().wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    assert isinstance(step, str | Called)
                    yield step
        finally:
            self.closed += 1

    async def probe(self) -> bool:
        return True


class Offline:
    def __init__(self) -> None:
        self.asked: list[Respond] = []

    async def respond(self, request: Respond) -> ReplyReady:
        self.asked.append(request)
        return ReplyReady(utterance=request.utterance, kind="answered", text="129 dollars, says the offline answerer.")


class Library:
    def __init__(
        self, found: tuple[Source, ...] = (), *, fails: bool = False, faults: tuple[ProviderFault, ...] = ()
    ) -> None:
        self.found, self.fails, self.faults = found, fails, faults
        self.asked: list[tuple[str, ...]] = []

    async def search(self, queries: Sequence[str]) -> Found:
        self.asked.append(tuple(queries))
        if self.fails:
            raise DeadlineExceeded
        return Found(sources=self.found, faults=self.faults)


async def never(_: float) -> None:
    await asyncio.Event().wait()


def question(text: str = "how much is a velora peel", **more: Any) -> Respond:
    values: dict[str, Any] = {"sources": (PEEL,), "tries_left": 2, **more}
    return Respond(utterance=3, heard=(Heard(text=text, confidence=0.9),), detail=(), memory={}, last_said="", **values)


class Fixture:
    def __init__(self, *models: Model, library: Library | None = None) -> None:
        self.models, self.offline, self.library = models, Offline(), library or Library()
        self.brain = LlmBrain(SNAPSHOT, CLOCK, models, self.library, self.offline, Breaker(sleep=never))

    async def reply(self, request: Respond | None = None) -> list[ReplyPart]:
        parts = [part async for part in self.brain.reply(request or question())]
        assert [part.index for part in parts] == list(range(len(parts)))
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        return parts

    async def texts(self, request: Respond | None = None) -> list[str]:
        return [part.text for part in await self.reply(request) if part.text]


async def test_a_reply_comes_sentence_by_sentence_and_cites() -> None:
    one = Fixture(Model(["[1", "] It costs ", "129 dollars. ", "Anything ", "else?"]))
    parts = await one.reply()
    assert [part.text for part in parts] == ["It costs 129 dollars.", "Anything else?"]
    assert {part.cited for part in parts} == {PEEL.passage_id}
    assert {part.kind for part in parts} == {"answered"}


async def test_a_price_that_nobody_set_is_never_spoken() -> None:
    one = Fixture(Model(["[1] It costs 139 dollars. It is very good. That is 149 dollars a year."]))
    parts = await one.reply()
    assert [part.text for part in parts if part.text] == [phrases.NOT_SURE, "It is very good."]
    assert {part.kind for part in parts} == {"dont_know"}
    assert {part.cited for part in parts} == {None}


async def test_what_the_caller_and_earlier_answers_said_may_be_said() -> None:
    history = (
        Exchange(
            turn=0,
            kind="answered",
            caller="how much is a massage",
            said="",
            heard="It is 95 dollars.",
            interrupted=False,
        ),
    )
    one = Fixture(Model(["[chat] You asked for 7 of them. They are 95 dollars each."]))
    said = await one.texts(question("I want 7 of them", history=history, sources=()))
    assert said == ["You asked for 7 of them.", "They are 95 dollars each."]
    items, _ = one.models[0].asked[0]
    assert ("assistant", "It is 95 dollars.") in items


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        (["[none] I don't have that."], "dont_know", "I don't have that."),
        (["[none]"], "dont_know", phrases.DONT_KNOW),
        (["[again]"], "asked_again", phrases.NOT_HEARD),
        (["[chat] Hello!"], "small_talk", "Hello!"),
        ([Called(END_CALL, "1", "{}")], "goodbye", phrases.GOODBYE),
        (["[chat] Goodbye!", Called(END_CALL, "1", "{}")], "goodbye", "Goodbye!"),
    ],
)
async def test_the_tag_says_what_kind_of_turn_it_is(script: Script, kind: str, text: str) -> None:
    parts = await Fixture(Model(script)).reply()
    assert (parts[-1].kind, " ".join(part.text for part in parts if part.text)) == (kind, text)


async def test_nobody_is_asked_to_repeat_for_ever() -> None:
    parts = await Fixture(Model(["[again] Could you say that again?"])).reply(question(tries_left=0))
    assert [(part.kind, part.text) for part in parts] == [("dont_know", phrases.NOT_HEARD_AGAIN)]


async def test_a_search_adds_passages_and_is_limited() -> None:
    search = Called(SEARCH, "1", '{"query": "massage"}', "massage")
    one = Fixture(Model([search], ["[2] It costs 95 dollars."]), library=Library((MASSAGE, PEEL)))
    parts = await one.reply()
    assert one.library.asked == [("massage",)]
    assert parts[-1].text == "It costs 95 dollars."
    assert (parts[-1].cited, parts[-1].sources) == (MASSAGE.passage_id, (MASSAGE,))
    result = one.models[0].asked[1][0][-1]
    assert isinstance(result, ToolResult)
    assert 'n="2"' in result.text

    greedy = Fixture(Model([search], [search], [search], [search]), library=Library((MASSAGE,)))
    await greedy.texts()
    assert len(greedy.library.asked) == MAX_SEARCHES
    assert [may for _, may in greedy.models[0].asked] == [True, True, False]


async def test_a_search_that_fails_is_said_to_the_model_and_not_to_the_caller() -> None:
    search = Called(SEARCH, "1", "{}", "massage")
    one = Fixture(Model([search], ["[none] I don't know."]), library=Library(fails=True))
    assert await one.texts() == ["I don't know."]


async def test_what_failed_in_a_search_of_the_models_stands_in_the_answer_once() -> None:
    fault = ProviderFault(stage="embeddings", endpoint="openai", fault="timeout")
    search = Called(SEARCH, "1", "{}", "massage")
    one = Fixture(
        Model([search], ["[none] I don't know. ", "Anything else?"]), library=Library((MASSAGE,), faults=(fault,))
    )
    parts = await one.reply()
    assert [part.faults for part in parts] == [(fault,), *[()] * (len(parts) - 1)]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ([STALL], "timeout"),
        (["[1] It co", STALL], "timeout"),
        ([ConnectionResetError()], "reset"),
        (["[1] It co", ConnectionResetError()], "reset"),
        ([ValueError("not JSON")], "bad_answer"),
        ([""], "bad_answer"),
        (["[1]"], "bad_answer"),
    ],
)
async def test_a_model_that_fails_before_its_first_sentence_is_followed_by_the_next(script: Script, fault: str) -> None:
    first, second = Model(script, endpoint="first"), Model(["[1] It costs 129 dollars."], endpoint="second")
    one = Fixture(first, second)
    parts = await one.reply()
    assert " ".join(part.text for part in parts) == "It costs 129 dollars."
    assert [(f.stage, f.endpoint, f.fault, f.served_by) for f in parts[0].faults] == [("llm", "first", fault, "second")]
    again = await one.reply()
    assert again[0].faults == ()
    assert (len(first.asked), len(second.asked)) == (1, 2)
    assert first.closed == 1


async def test_when_no_model_answers_the_offline_answerer_does_with_all_that_was_found() -> None:
    search = Called(SEARCH, "1", "{}", "massage")
    one = Fixture(Model([search], [STALL]), library=Library((MASSAGE,)))
    parts = await one.reply()
    assert [part.text for part in parts] == ["129 dollars, says the offline answerer."]
    assert parts[0].faults[0].served_by == OFFLINE
    assert one.offline.asked[0].sources == (PEEL, MASSAGE)


async def test_a_reply_that_breaks_after_a_sentence_ends_honestly_and_is_not_begun_again() -> None:
    one = Fixture(
        Model(["[1] It costs 129 dollars. It la", STALL], endpoint="first"), Model(["[1] No."], endpoint="second")
    )
    parts = await one.reply()
    assert [part.text for part in parts] == ["It costs 129 dollars.", phrases.LOST_THREAD]
    assert [(f.endpoint, f.served_by) for f in parts[1].faults] == [("first", "")]
    assert one.models[1].asked == []


async def test_tokens_that_trickle_are_not_waited_for_without_end() -> None:
    """Each within its deadline, and never a sentence."""

    class Trickle(Model):
        async def chat(self, items: Sequence[ChatItem], *, may_search: bool) -> AsyncGenerator[str | Called, None]:
            yield "[1] "
            while True:
                await asyncio.sleep(self.deadline / 5)
                yield "and "

    one = Fixture(Trickle([]))
    assert await one.texts() == ["129 dollars, says the offline answerer."]
