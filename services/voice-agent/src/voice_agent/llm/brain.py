"""The brain that asks a language model, and knows what to say when the model fails.

Retrieval comes first, as for the offline answerer; the model is given the passages and may search again. Its reply is
spoken sentence by sentence, each past the grounding guard. A link that doesn't answer in time, breaks or is refused is
followed by the next one; the last is the offline answerer with the same passages. A reply that breaks after its first
sentence is not begun again: an honest line and a question end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from uuid import UUID

from switchboard.clock import Clock
from switchboard.contracts.calls import TurnKind
from switchboard.contracts.providers import OFFLINE, FaultKind, ProviderFault
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.errors import SwitchboardError

from voice_agent.chains.breaker import Breaker
from voice_agent.chains.faults import LinkFailed, fault_of, note
from voice_agent.conversation import phrases
from voice_agent.conversation.models import ReplyPart, Respond, Source
from voice_agent.llm.chat import END_CALL, SEARCH, Called, ChatItem, ChatLink, ToolResult
from voice_agent.llm.control import NO_TAG, Sentences, Tag, read_tag
from voice_agent.llm.grounding import Grounds
from voice_agent.llm.prompt import clinic_text, history_messages, passage_text, system_prompt, within_budget
from voice_agent.ports import Brain, Retriever

MAX_SEARCHES = 2
"""Rounds of searching in one turn; each keeps the caller waiting."""

MAX_SENTENCES = 5
MAX_QUERY = 200


class LlmBrain:
    """``StreamingBrain`` over a chain of models. ``offline`` answers when none of them does."""

    def __init__(
        self,
        snapshot: TenantSnapshot,
        clock: Clock,
        links: Sequence[ChatLink],
        retriever: Retriever,
        offline: Brain,
        breaker: Breaker | None = None,
        *,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.clock = clock
        self.retriever = retriever
        self._links = tuple(links)
        self._offline = offline
        self._breaker = breaker or Breaker()
        self._close = close

    async def aclose(self) -> None:
        """Stop asking resting links whether they are back, and close their connections."""
        await self._breaker.aclose()
        if self._close is not None:
            await self._close()

    async def reply(self, request: Respond) -> AsyncGenerator[ReplyPart, None]:
        """The parts of an answer; see ``StreamingBrain``."""
        failures: list[tuple[str, FaultKind]] = []
        found: tuple[Source, ...] = ()
        for link in self._breaker.usable(self._links):
            answer = _Answer(self, request, link)
            try:
                async with aclosing(answer.sentences()) as sentences:
                    async for text, last in sentences:
                        faults = _noted(failures, link.endpoint)
                        failures = []
                        yield answer.part(text, last=last, faults=faults)
                return
            except LinkFailed as failure:
                self._breaker.rest(link.endpoint, link.probe)
                found = answer.found
                if answer.said:
                    faults = (note("llm", link.endpoint, failure.kind, ""),)
                    yield answer.part(phrases.LOST_THREAD, last=True, faults=faults)
                    return
                failures.append((link.endpoint, failure.kind))
        yield await self._offline_part(request, found, failures)

    async def _offline_part(
        self, request: Respond, found: tuple[Source, ...], failures: list[tuple[str, FaultKind]]
    ) -> ReplyPart:
        request = request.model_copy(update={"sources": (*request.sources, *found)})
        ready = await self._offline.respond(request)
        return ReplyPart(
            utterance=request.utterance,
            index=0,
            kind=ready.kind,
            text=ready.text,
            last=True,
            cited=ready.cited,
            sources=found,
            memory=ready.memory,
            faults=_noted(failures, OFFLINE),
            first_token=ready.first_token,
        )


def _noted(failures: list[tuple[str, FaultKind]], served_by: str) -> tuple[ProviderFault, ...]:
    return tuple(note("llm", endpoint, kind, served_by) for endpoint, kind in failures)


class _Answer:
    """One link's attempt at one reply."""

    def __init__(self, brain: LlmBrain, request: Respond, link: ChatLink) -> None:
        self._brain = brain
        self._request = request
        self._link = link
        self._passages = within_budget(request.sources)
        self._items = self._opening()
        self._grounds = self._known()
        self._tag: Tag | None = None
        self._head = ""
        self._sentences = Sentences()
        self._ungrounded = False
        self._goodbye = False
        self._first_token = brain.clock.now()
        self._first_words_by: float | None = None
        self.found: tuple[Source, ...] = ()
        self._lookup_faults: tuple[ProviderFault, ...] = ()
        self.said = 0

    def _opening(self) -> list[ChatItem]:
        request = self._request
        system = system_prompt(self._brain.snapshot, self._brain.clock.now(), request.sources)
        heard = request.heard[0].text if request.heard else ""
        others = "; ".join(reading.text for reading in request.heard[1:3])
        words = f"{heard}\n(It may also have been: {others})" if others else heard
        return [("system", system), *history_messages(request.history), ("user", words)]

    def _known(self) -> Grounds:
        """What may be said. Our own earlier words passed this guard with the passages of their time."""
        request = self._request
        grounds = Grounds([clinic_text(self._brain.snapshot, self._brain.clock.now())])
        for source in self._passages:
            grounds.add(f"{source.heading}\n{source.text}")
        for reading in request.heard:
            grounds.add(reading.text)
        for exchange in request.history:
            grounds.add(exchange.caller)
            grounds.add(exchange.heard)
        return grounds

    # -- what the record learns of it -------------------------------------------------------------------------------

    def part(self, text: str, *, last: bool, faults: tuple[ProviderFault, ...]) -> ReplyPart:
        part = ReplyPart(
            utterance=self._request.utterance,
            index=self.said,
            kind=self._kind(last=last),
            text=text,
            last=last,
            cited=self._cited(),
            sources=self.found,
            faults=(*faults, *self._lookup_faults),
            first_token=self._first_token,
        )
        self._lookup_faults = ()
        self.said += 1
        return part

    def _kind(self, *, last: bool) -> TurnKind:
        if self._ungrounded:
            return "dont_know"
        if self._goodbye and last:
            return "goodbye"
        return (self._tag or NO_TAG).verdict

    def _cited(self) -> UUID | None:
        number = (self._tag or NO_TAG).passage
        if self._ungrounded or number is None or not 1 <= number <= len(self._passages):
            return None
        return self._passages[number - 1].passage_id

    # -- the reply --------------------------------------------------------------------------------------------------

    async def sentences(self) -> AsyncGenerator[tuple[str, bool], None]:
        """(sentence, whether it is the last), each fit to be spoken. The last may be empty. Raises ``LinkFailed``."""
        for searches_left in range(MAX_SEARCHES, -1, -1):
            calls: list[Called] = []
            async with aclosing(self._chunks(may_search=searches_left > 0)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Called):
                        calls.append(chunk)
                        continue
                    for sentence in self._words(chunk):
                        if (fit := self._fit(sentence)) is not None:
                            yield fit, False
                    if self._enough():
                        break
            self._goodbye = self._goodbye or any(call.name == END_CALL for call in calls)
            wanted = [call for call in calls if call.name == SEARCH]
            if self._goodbye or not wanted or not searches_left or self._enough():
                break
            for call in wanted:
                await self._search(call)
            for sentence in self._leftover():
                yield sentence, False
            self._tag, self._head = None, ""
        yield self._closing_words(), True

    def _enough(self) -> bool:
        too_often = self._tag is not None and self._tag.verdict == "asked_again" and self._request.tries_left <= 0
        return self.said >= MAX_SENTENCES or too_often

    def _words(self, chunk: str) -> list[str]:
        if self._tag is not None:
            return self._sentences.push(chunk)
        self._head += chunk
        return self._past_tag(ended=False)

    def _past_tag(self, *, ended: bool) -> list[str]:
        read = read_tag(self._head, ended=ended)
        if read is None:
            return []
        self._tag, rest = read
        self._head = ""
        return [] if self._enough() else self._sentences.push(rest)

    def _leftover(self) -> list[str]:
        """What was said before a search, whole or not."""
        sentences = self._past_tag(ended=True) if self._tag is None and self._head else []
        sentences.append(self._sentences.rest())
        return [fit for sentence in sentences if sentence and (fit := self._fit(sentence)) is not None]

    def _fit(self, sentence: str) -> str | None:
        """``sentence``, or what is said in its place; ``None`` when that has been said already."""
        if self._grounds.support(sentence):
            return sentence
        if self._ungrounded:
            return None
        self._ungrounded = True
        return phrases.NOT_SURE

    def _closing_words(self) -> str:
        """The end of the reply; a stored line when the model has said nothing at all."""
        rest = self._leftover()
        if self._tag is not None and self._tag.verdict == "asked_again" and self._request.tries_left <= 0:
            self._tag = Tag("dont_know")
            return phrases.NOT_HEARD_AGAIN
        if rest or self.said:
            return " ".join(rest) if self.said < MAX_SENTENCES else ""
        if self._goodbye:
            return phrases.GOODBYE
        verdict = self._tag.verdict if self._tag is not None else None
        if verdict == "dont_know":
            return phrases.DONT_KNOW
        if verdict == "asked_again":
            return phrases.NOT_HEARD
        raise LinkFailed("bad_answer")

    async def _search(self, call: Called) -> None:
        """Only this tenant's documents can be searched: the retriever is bound to it, whatever the model asks for."""
        query = call.query.strip()[:MAX_QUERY]
        fresh: list[Source] = []
        if query:
            try:
                known = {source.passage_id for source in self._passages}
                looked_up = await self._brain.retriever.search((query,))
                fresh = [source for source in within_budget(looked_up.sources) if source.passage_id not in known]
                self._lookup_faults = (*self._lookup_faults, *looked_up.faults)
            except SwitchboardError:
                self._items.append(ToolResult(call, "The documents can't be searched right now."))
                return
        start = len(self._passages) + 1
        self._passages = [*self._passages, *fresh]
        self.found = (*self.found, *fresh)
        for source in fresh:
            self._grounds.add(f"{source.heading}\n{source.text}")
        text = "\n".join(passage_text(start + at, source) for at, source in enumerate(fresh))
        self._items.append(ToolResult(call, text or "Nothing else was found."))

    async def _chunks(self, *, may_search: bool) -> AsyncGenerator[str | Called, None]:
        """The model's stream under its deadlines."""
        loop = asyncio.get_running_loop()
        deadline = self._link.deadline
        if self._first_words_by is None:
            self._first_words_by = loop.time() + 2 * deadline
            self._first_token = self._brain.clock.now()
        first = True
        async with aclosing(self._link.chat(self._items, may_search=may_search)) as stream:
            while True:
                # Tokens that trickle keep the caller waiting as much as none at all.
                left = deadline if self.said else min(deadline, self._first_words_by - loop.time())
                try:
                    chunk = await asyncio.wait_for(anext(stream), max(left, 0))
                except StopAsyncIteration:
                    return
                except Exception as error:  # whatever a client raises, the next link gets the work
                    raise LinkFailed(fault_of(error)) from error
                if first and not self.said:
                    self._first_token = self._brain.clock.now()
                first = False
                yield chunk
