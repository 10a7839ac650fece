"""The conversation by text: the same core and loop, with what is typed instead of what is heard.

Used where nobody speaks: tests, evaluations and the console's "try it" box.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from switchboard.clock import Clock
from switchboard.contracts.calls import EndReason
from switchboard.errors import Conflict

from voice_agent.conversation.core import initial
from voice_agent.conversation.models import Answered, CallerLeft, CallerSpoke, Heard, Say, SayMore, SpeechEnded
from voice_agent.drivers.loop import ConversationLoop
from voice_agent.ports import Brain, Recorder, Retriever, StreamingBrain


class TextConversation:
    """``async with TextConversation(...) as talk: reply = await talk.say("how much is a cleaning")``."""

    def __init__(
        self,
        brain: Brain | StreamingBrain,
        retriever: Retriever,
        recorder: Recorder,
        clock: Clock,
        *,
        greeting: str,
        configuration_version: int = 1,
    ) -> None:
        self._replies: asyncio.Queue[Say] = asyncio.Queue()
        self._unfinished: Say | None = None
        self._greeting = greeting
        self.loop = ConversationLoop(initial(configuration_version), _Typed(self), brain, retriever, recorder, clock)
        self._task: asyncio.Task[EndReason] | None = None

    async def __aenter__(self) -> TextConversation:
        self._task = asyncio.create_task(self.loop.run(), name="text conversation")
        self.loop.post(Answered(greeting=self._greeting))
        await self.reply()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self.loop.post(CallerLeft(reason=EndReason.CALLER_HUNG_UP))
        if kind is not None:
            self._task.cancel()
        await asyncio.wait({self._task})

    async def say(self, text: str) -> Say:
        """Type ``text``; the reply."""
        self.loop.post(CallerSpoke(heard=(Heard(text=text, confidence=1.0),) if text else ()))
        return await self.reply()

    async def reply(self) -> Say:
        """The next thing that the agent says; ``Conflict`` when the conversation is over."""
        assert self._task is not None
        reply = asyncio.create_task(self._replies.get(), name="reply")
        try:
            await asyncio.wait({reply, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done():
                self._task.result()
                raise Conflict("the conversation is over")
            return reply.result()
        finally:
            reply.cancel()

    def spoken(self, effect: Say) -> None:
        if effect.more:
            self._unfinished = effect
            return
        self._replies.put_nowait(effect)
        self.loop.post(SpeechEnded(utterance=effect.utterance, heard=effect.text, interrupted=False))

    def spoken_more(self, effect: SayMore) -> None:
        """Pieces of a reply are read when it is whole."""
        begun = self._unfinished
        if begun is None or begun.utterance != effect.utterance:
            return
        text = f"{begun.text} {effect.text}".strip()
        self._unfinished = begun.model_copy(update={"text": text})
        if effect.last:
            self._unfinished = None
            self.spoken(begun.model_copy(update={"text": text, "more": False}))


class _Typed:
    """What is said is read at once and whole."""

    def __init__(self, conversation: TextConversation) -> None:
        self._conversation = conversation

    def say(self, effect: Say) -> None:
        self._conversation.spoken(effect)

    def say_more(self, effect: SayMore) -> None:
        self._conversation.spoken_more(effect)
