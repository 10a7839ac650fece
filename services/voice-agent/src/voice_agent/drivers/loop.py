"""Runs the conversation core: events in, effects out. The same loop under every driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
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
from voice_agent.drivers.ahead import Lookahead, Speculation
from voice_agent.ports import Brain, Recorder, Retriever, StreamingBrain

_log = structlog.get_logger(__name__)


class Mouth(Protocol):
    """A driver's way of speaking. Must post ``SpeechEnded`` for the utterance when the speech is over."""

    def say(self, effect: Say) -> None: ...

    def say_more(self, effect: SayMore) -> None:
        """Only after a ``say`` with ``more``; dropped when that utterance is over."""


def _nothing(_text: str) -> None:
    return


class ConversationLoop:
    """One conversation from its first event to its end. ``speak_ahead`` is told what will probably be said."""

    def __init__(
        self,
        state: State,
        mouth: Mouth,
        brain: Brain | StreamingBrain,
        retriever: Retriever,
        recorder: Recorder,
        clock: Clock,
        speak_ahead: Callable[[str], None] = _nothing,
    ) -> None:
        self.state = state
        self.lookahead = Lookahead(retriever)
        self.speculation = (
            Speculation(brain, self.lookahead, speak_ahead) if isinstance(brain, StreamingBrain) else None
        )
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

    def pause(self, text: str) -> None:
        """The caller has paused after these words; perhaps their turn is over."""
        if self.speculation is not None:
            self.speculation.begin(self.state, text)

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
            if self.speculation is not None:
                self.speculation.close()
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
        guessed = None if self.speculation is None else self.speculation.take(effect)
        faults = () if self.speculation is None else self.speculation.take_faults()
        self.lookahead.drop()
        with span("respond"):
            try:
                if isinstance(self._brain, StreamingBrain):
                    async with aclosing(guessed or self._brain.reply(effect)) as parts:
                        async for part in parts:
                            self.post(part.model_copy(update={"faults": (*faults, *part.faults)}) if faults else part)
                            faults = ()
                else:
                    self.post(await self._brain.respond(effect))
            except Exception:
                _log.exception("the brain broke")
                self.post(RetrievalFailed(utterance=effect.utterance))
