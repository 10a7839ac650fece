"""Work begun on words that may still change: a look-up while the caller speaks, an answer while they pause.

Nothing of it is heard or recorded before the turn is over and the words are known; what was guessed wrongly is dropped.
It reads documents and asks models, and changes nothing anywhere.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from switchboard.contracts.providers import ProviderFault

from voice_agent.conversation.core import MAX_QUERIES, step
from voice_agent.conversation.models import (
    CallerSpoke,
    Found,
    Heard,
    PassagesFound,
    ReplyPart,
    Respond,
    Retrieve,
    State,
)
from voice_agent.offline.question import retrieval_queries
from voice_agent.ports import Retriever, StreamingBrain

MOST_GUESSES = 3
"""Answers begun in one turn of the caller's: each that is dropped has cost a request."""

_WORD = re.compile(r"[\w']+")
Words = tuple[str, ...]


def words_of(text: str) -> Words:
    """What was said, without what an ear writes around it: a final transcript has marks that an interim one has not."""
    return tuple(_WORD.findall(text.lower()))


class Lookahead:
    """Retrieval begun on words that may still change, so that a question that stays as it was is answered at once."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._queries: tuple[Words, ...] = ()
        self._task: asyncio.Task[Found] | None = None
        self._awaited: list[asyncio.Task[Found]] = []

    def begin(self, text: str) -> None:
        """Look up what would be looked up for ``text``, unless that is being done; one at a time, the newest wins."""
        queries = retrieval_queries([text], MAX_QUERIES)
        if len(words_of(text)) < 2 or _alike(queries) == self._queries:
            return
        self._start(queries)

    def _start(self, queries: Sequence[str]) -> asyncio.Task[Found]:
        self.drop()
        self._queries = _alike(queries)
        self._task = asyncio.create_task(self._retriever.search(queries), name="lookahead")
        self._task.add_done_callback(_retrieve_exception)
        return self._task

    async def search(self, queries: Sequence[str]) -> Found:
        """The passages for ``queries``; from this turn's look-up when it was for the same words."""
        task = self._task if _alike(queries) == self._queries else None
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            # A look-ahead that failed is nobody's loss: what failed a moment ago may work now.
            task = self._start(queries)
        self._awaited.append(task)
        try:
            # More than one may wait for it, and one of them may be given up.
            return await asyncio.shield(task)
        finally:
            self._awaited.remove(task)

    def drop(self) -> None:
        """The turn is answered: what was found is not kept for the next one. What somebody waits for goes on."""
        if self._task is not None and self._task not in self._awaited:
            self._task.cancel()
        self._task = None
        self._queries = ()


def _alike(queries: Sequence[str]) -> tuple[Words, ...]:
    return tuple(dict.fromkeys(words_of(query) for query in queries))


def _retrieve_exception(task: asyncio.Task[Found]) -> None:
    """A failed look-ahead is nobody's loss; asking for its exception keeps asyncio quiet about it."""
    if not task.cancelled():
        task.exception()


class Guess:
    """One answer in the making. ``request`` is what it answers, once that is known."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.request: Respond | None = None
        self._parts: asyncio.Queue[ReplyPart | Exception | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(
        self, brain: StreamingBrain, finding: AsyncGenerator[Respond, None], speak_ahead: Callable[[str], None]
    ) -> None:
        self._task = asyncio.create_task(self._run(brain, finding, speak_ahead), name="speculate")

    async def _run(
        self, brain: StreamingBrain, finding: AsyncGenerator[Respond, None], speak_ahead: Callable[[str], None]
    ) -> None:
        try:
            async with aclosing(finding) as found:
                self.request = await anext(found, None)
            if self.request is None:
                return
            async with aclosing(brain.reply(self.request)) as parts:
                async for part in parts:
                    if part.index == 0:
                        speak_ahead(part.text)
                    self._parts.put_nowait(part)
        except Exception as error:  # raised to whoever takes the guess up, if anybody does
            self._parts.put_nowait(error)
        else:
            self._parts.put_nowait(None)

    async def parts(self, utterance: int) -> AsyncGenerator[ReplyPart, None]:
        """The reply as one to this utterance, what is there already at once."""
        try:
            while (part := await self._parts.get()) is not None:
                if isinstance(part, Exception):
                    raise part
                yield part.model_copy(update={"utterance": utterance})
        finally:
            self.drop()

    def drop(self) -> tuple[ProviderFault, ...]:
        """Nobody wants it; the faults of providers that it met."""
        if self._task is not None:
            self._task.cancel()
        faults: list[ProviderFault] = []
        while not self._parts.empty():
            part = self._parts.get_nowait()
            faults += part.faults if isinstance(part, ReplyPart) else ()
        return tuple(faults)


class Speculation:
    """Answers begun in the caller's pauses. ``speak_ahead`` is told the first sentence of each."""

    def __init__(self, brain: StreamingBrain, lookahead: Lookahead, speak_ahead: Callable[[str], None]) -> None:
        self._brain = brain
        self._lookahead = lookahead
        self._speak_ahead = speak_ahead
        self._guess: Guess | None = None
        self._faults: tuple[ProviderFault, ...] = ()
        self._made = 0

    def begin(self, state: State, text: str) -> None:
        """The caller has paused after ``text``. Nothing while we speak ourselves: what they heard of it isn't known yet."""
        words = words_of(text)
        if len(words) < 2 or self._made >= MOST_GUESSES or (state.open is not None and state.open.saying):
            return
        if self._guess is not None and self._guess.words == words:
            return
        self._drop()
        self._made += 1
        self._guess = Guess(words)
        self._guess.start(self._brain, self._would_ask(state, text), self._speak_ahead)

    async def _would_ask(self, state: State, text: str) -> AsyncGenerator[Respond, None]:
        """What the core would ask of the brain if the caller's turn ended with these words."""
        after, effects = step(state, CallerSpoke(heard=(Heard(text=text, confidence=0.5),)))
        for effect in effects:
            if isinstance(effect, Retrieve):
                found = await self._lookahead.search(effect.queries)
                _, then = step(after, PassagesFound(utterance=effect.utterance, sources=found.sources))
                for one in then:
                    if isinstance(one, Respond):
                        yield one

    def take(self, request: Respond) -> AsyncGenerator[ReplyPart, None] | None:
        """The reply to ``request`` if it was guessed; the next turn begins with no guess."""
        guess, self._guess, self._made = self._guess, None, 0
        if guess is None:
            return None
        if guess.request is None or not same_question(guess.request, request):
            self._faults += guess.drop()
            return None
        return guess.parts(request.utterance)

    def take_faults(self) -> tuple[ProviderFault, ...]:
        """Those that guesses met which were dropped since the last time: a provider that rests since then failed there."""
        faults, self._faults = self._faults, ()
        return faults

    def close(self) -> None:
        self._drop()

    def _drop(self) -> None:
        if self._guess is not None:
            self._faults += self._guess.drop()
            self._guess = None


def same_question(guessed: Respond, asked: Respond) -> bool:
    """Whether a reply to the one is a reply to the other: the same words, passages and conversation before them.

    Words that an ear gives with an account of its own are never guessed: an answerer may go by that.
    """
    if asked.detail or [words_of(one.text) for one in guessed.heard] != [words_of(one.text) for one in asked.heard]:
        return False
    alike = {"utterance": 0, "heard": (), "detail": ()}
    return guessed.model_copy(update=alike) == asked.model_copy(update=alike)
