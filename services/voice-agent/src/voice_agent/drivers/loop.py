"""Runs the conversation core: events in, effects out. The same loop under every driver."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol, assert_never

import structlog
from switchboard.clock import Clock
from switchboard.contracts.calls import EndReason
from switchboard.errors import SwitchboardError
from switchboard.telemetry import span

from voice_agent.conversation.core import step
from voice_agent.conversation.models import (
    CallerLeft,
    Effect,
    Event,
    Found,
    HangUp,
    PassagesFound,
    Respond,
    RetrievalFailed,
    Retrieve,
    Say,
    SayMore,
    State,
    TurnDone,
)
from voice_agent.ports import Brain, Recorder, Retriever, StreamingBrain

_log = structlog.get_logger(__name__)


class Mouth(Protocol):
    """A driver's way of speaking. Must post ``SpeechEnded`` for the utterance when the speech is over."""

    def say(self, effect: Say) -> None: ...

    def say_more(self, effect: SayMore) -> None:
        """Only after a ``say`` with ``more``; dropped when that utterance is over."""


class Lookahead:
    """Retrieval begun on words that may still change, so that a question that stays as it was is answered at once."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._query = ""
        self._task: asyncio.Task[Found] | None = None

    def begin(self, query: str) -> None:
        """Look ``query`` up unless that is being done already; one look-up at a time, the newest wins."""
        if query == self._query or len(query.split()) < 2:
            return
        self.drop()
        self._query = query
        self._task = asyncio.create_task(self._retriever.search((query,)), name="lookahead")

    async def search(self, queries: Sequence[str]) -> Found:
        """The passages for ``queries``; from the look-up under way when it was for exactly these."""
        task = self._task if tuple(queries) == (self._query,) else None
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            # A look-ahead that failed is nobody's loss: what failed a moment ago may work now.
            self.drop()
            return await self._retriever.search(queries)
        self._task = None
        self._query = ""
        return await task

    def drop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task.add_done_callback(_retrieve_exception)
        self._task = None
        self._query = ""


def _retrieve_exception(task: asyncio.Task[Found]) -> None:
    """A failed look-ahead is nobody's loss; asking for its exception keeps asyncio quiet about it."""
    if not task.cancelled():
        task.exception()


class ConversationLoop:
    """One conversation from its first event to its end."""

    def __init__(
        self,
        state: State,
        mouth: Mouth,
        brain: Brain | StreamingBrain,
        retriever: Retriever,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self.state = state
        self.lookahead = Lookahead(retriever)
        self._mouth = mouth
        self._brain = brain
        self._recorder = recorder
        self._clock = clock
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._responding: tuple[int, asyncio.Task[None]] | None = None

    def post(self, event: Event) -> None:
        """Hand in an event; safe from callbacks."""
        self._events.put_nowait(event)

    def words_so_far(self, text: str) -> None:
        """What the caller seems to be saying: retrieval may begin."""
        self.lookahead.begin(text)

    async def run(self) -> EndReason:
        """Until the core hangs up."""
        try:
            while True:
                event = await self._events.get()
                self.state, effects = step(self.state, event)
                self._drop_stale_reply()
                for effect in effects:
                    if isinstance(effect, HangUp):
                        return effect.reason
                    self._carry_out(effect)
        finally:
            self.lookahead.drop()
            for task in self._tasks:
                task.cancel()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Say():
                self._mouth.say(effect)
            case SayMore():
                self._mouth.say_more(effect)
            case Retrieve():
                self._spawn(self._retrieve(effect))
            case Respond():
                self._responding = effect.utterance, self._spawn(self._respond(effect))
            case TurnDone():
                self._recorder.turn(effect, self.state.model_dump_json())
            case HangUp():
                raise AssertionError("handled by run")
            case _ as never:
                assert_never(never)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _drop_stale_reply(self) -> None:
        """A reply that nobody waits for any more costs tokens, and its parts would be dropped anyway."""
        if self._responding is None:
            return
        utterance, task = self._responding
        if self.state.open is None or self.state.open.utterance != utterance:
            task.cancel()
            self._responding = None

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a conversation task failed", exc_info=task.exception())
            self.post(CallerLeft(reason=EndReason.AGENT_FAILED))

    async def _retrieve(self, effect: Retrieve) -> None:
        started = self._clock.now()
        try:
            with span("retrieve"):
                found = await self.lookahead.search(effect.queries)
        except SwitchboardError as error:
            _log.warning("retrieval failed", error=error.code)
            self.post(RetrievalFailed(utterance=effect.utterance))
            return
        except Exception:  # the caller is told so, and goes on asking; an error of ours is no reason to hang up
            _log.exception("retrieval broke")
            self.post(RetrievalFailed(utterance=effect.utterance))
            return
        self.post(
            PassagesFound(
                utterance=effect.utterance,
                sources=found.sources,
                faults=found.faults,
                started_at=started,
                ended_at=self._clock.now(),
            )
        )

    async def _respond(self, effect: Respond) -> None:
        with span("respond"):
            try:
                if isinstance(self._brain, StreamingBrain):
                    async with aclosing(self._brain.reply(effect)) as parts:
                        async for part in parts:
                            self.post(part)
                else:
                    self.post(await self._brain.respond(effect))
            except Exception:
                _log.exception("the brain broke")
                self.post(RetrievalFailed(utterance=effect.utterance))
