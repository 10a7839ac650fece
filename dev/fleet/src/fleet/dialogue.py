"""The demo's conversation: the caller asks, listens, repeats as people do, interrupts, and remembers when what happened.

What to do next follows from what was heard and, for the words of a question back, from the live words of the public API.
Whether an answer was right is judged from the sound.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fleet.api import LiveEvent
from fleet.caller import Caller
from fleet.judge import Flaw, Interruption, Judge, Verdict, interrupted
from fleet.process import FleetError
from fleet.questions import Question, asks_back_about
from fleet.speech import CALLER, Samples, Synthesizer

GREETING_TIMEOUT = 25.0
ANSWER_TIMEOUT = 12.0
LONGEST_ANSWER = 40.0
END_OF_ANSWER = 0.9
"""Longer than the pauses between the agent's sentences."""
REPEATS = 2
INTERRUPT_AFTER = 1.2
WORDS_TIMEOUT = 3.0


@dataclass
class LiveWords:
    """What the public API said about this call while it lasted."""

    events: list[tuple[float, LiveEvent]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, now: float, event: LiveEvent) -> None:
        self.events.append((now, event))
        self.news.set()

    def finals(self, speaker: str, since: float) -> list[tuple[float, str]]:
        """The final words of one side from this moment on, with their times. The agent's come as it begins to speak."""
        words = [(at, e) for at, e in self.events if at >= since and e.kind == "words" and e.speaker == speaker]
        return [(at, event.text) for at, event in words if event.final]

    def said(self, speaker: str, since: float) -> str:
        """The same, in one text."""
        return " ".join(text for _, text in self.finals(speaker, since))

    async def wait_said(self, speaker: str, since: float, timeout: float) -> str:
        """The same, once there are any; empty when none come in time."""
        try:
            async with asyncio.timeout(timeout):
                while not self.said(speaker, since):
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return ""
        return self.said(speaker, since)


@dataclass
class Exchange:
    """One time of asking. Times are seconds on the wall clock (epoch); `text` is what the agent said it said."""

    question: Question
    said: str
    attempt: int
    speech_ended: float
    heard_began: float | None
    text: str
    verdict: Verdict
    interruption: Interruption | None = None


def right(exchange: Exchange) -> bool:
    """Whether the caller is content: as a rule, once the answer was right."""
    return exchange.verdict.ok


async def at_once(question: Question) -> None:
    """Nothing happens before a question, as a rule."""


@dataclass(frozen=True)
class Script:
    """What the caller asks. `before` is awaited ahead of each question; `enough` says when it isn't asked again."""

    questions: tuple[Question, ...]
    before: Callable[[Question], Awaitable[None]] = at_once
    enough: Callable[[Exchange], bool] = right


def confirmed(question: Question) -> str:
    """The answer to "did you ask about ...?"."""
    return f"yes the {question.subject.lower()}"


class Dialogue:
    """Holds one call's conversation. `tell(who, text)` shows lines as they happen."""

    def __init__(
        self,
        caller: Caller,
        words: LiveWords,
        judge: Judge,
        synthesizer: Synthesizer,
        tell: Callable[[str, str], None],
        enough: Callable[[Exchange], bool] = right,
    ) -> None:
        self._caller, self._words, self._judge = caller, words, judge
        self._synthesizer, self._tell, self._enough = synthesizer, tell, enough
        self.exchanges: list[Exchange] = []
        self.greeting_heard: float | None = None
        self._offset = time.time() - asyncio.get_running_loop().time()

    def wall(self, moment: float) -> float:
        """A moment of the caller's clock as seconds since the epoch."""
        return moment + self._offset

    async def greeting(self) -> None:
        """Waits until the agent has greeted. FleetError when it stays silent."""
        since = self._caller.established_at or 0.0
        try:
            began = await self._caller.heard.until_speech(since, GREETING_TIMEOUT)
        except TimeoutError:
            raise FleetError("the agent answered the call but didn't say anything") from None
        self.greeting_heard = self.wall(began)
        await self._caller.heard.until_silence(began, LONGEST_ANSWER, END_OF_ANSWER)

    async def ask(self, question: Question, subjects: list[str]) -> Exchange:
        """Asks until it is enough, at most REPEATS times again. Returns the last exchange."""
        said = question.said
        for attempt in range(REPEATS + 1):
            exchange = await self._ask_once(question, said, attempt)
            self.exchanges.append(exchange)
            if self._enough(exchange):
                break
            named = asks_back_about(exchange.text, subjects)
            said = confirmed(question) if named and named == question.subject else question.said
        return self.exchanges[-1]

    async def _ask_once(self, question: Question, said: str, attempt: int) -> Exchange:
        self._tell("caller", said)
        began = await self._caller.say(self._speech(said))
        ended = await self._caller.said.until_silence(began, LONGEST_ANSWER)
        return await self._listen(question, said, attempt, began, ended)

    async def _listen(self, question: Question, said: str, attempt: int, began: float, ended: float) -> Exchange:
        try:
            heard_from: float | None = await self._caller.heard.until_speech(ended, ANSWER_TIMEOUT)
        except TimeoutError:
            heard_from = None
        text, verdict = self._words.said("agent", ended), Verdict.wrong(Flaw.SILENCE, "nothing was heard")
        if heard_from is not None:
            await self._caller.heard.until_silence(heard_from, LONGEST_ANSWER, END_OF_ANSWER)
            text = await self._words.wait_said("agent", ended, WORDS_TIMEOUT)
            verdict = await self._judged(question, ended, heard_from)
            text = (self._words.finals("agent", ended) or [(0.0, text)])[-1][1]
        wall = None if heard_from is None else self.wall(heard_from)
        return Exchange(question, said, attempt, self.wall(ended), wall, text, verdict)

    async def _judged(self, question: Question, ended: float, heard_from: float) -> Verdict:
        """Of all that the agent said since, and of its last words alone: it may have broken off to say something new."""
        said = self._words.finals("agent", ended)
        until = (self._caller.heard.last_voice() or heard_from) + 0.1
        tries = [(heard_from, " ".join(text for _, text in said))]
        if len(said) > 1:
            at, text = said[-1]
            tries.append((await self._caller.heard.until_speech(at, WORDS_TIMEOUT), text))
        verdict = Verdict.wrong(Flaw.SILENCE, "nothing was heard")
        for began, text in tries:
            sound = self._caller.heard.samples(began - 0.1, until)
            verdict = await asyncio.to_thread(question.expected.verdict, self._judge, sound, text)
            if verdict.ok:
                break
        return verdict

    async def interrupt(self, question: Question, subjects: list[str]) -> Exchange:
        """Asks the question with a long answer, speaks into that answer, and listens to the answer to the second one."""
        assert question.interrupts is not None
        for attempt in range(REPEATS + 1):
            interruption = await self._interrupt_once(question.interrupts, question, attempt)
            if interruption is not None:
                break
        else:
            raise FleetError("the agent gave no long answer that could be interrupted")
        exchange = self.exchanges[-1]
        if not exchange.verdict.ok:
            exchange = await self._again(question, exchange, subjects)
        exchange.interruption = interruption
        return exchange

    async def _again(self, question: Question, last: Exchange, subjects: list[str]) -> Exchange:
        named = asks_back_about(last.text, subjects)
        for attempt in range(1, REPEATS + 1):
            said = (
                confirmed(question) if named and named == question.subject else question.said.removeprefix("excuse me ")
            )
            last = await self._ask_once(question, said, attempt)
            self.exchanges.append(last)
            if last.verdict.ok:
                break
            named = asks_back_about(last.text, subjects)
        return last

    async def _interrupt_once(self, opener: Question, question: Question, attempt: int) -> Interruption | None:
        """None when the answer to the opener ended before it could be interrupted (the agent asked back)."""
        clock = asyncio.get_running_loop().time
        self._tell("caller", opener.said)
        began = await self._caller.say(self._speech(opener.said))
        ended = await self._caller.said.until_silence(began, LONGEST_ANSWER)
        try:
            answer = await self._caller.heard.until_speech(ended, ANSWER_TIMEOUT)
        except TimeoutError:
            return None
        # Speaks up only when it is the long answer: a question back is over, or known by its words, before that.
        text = await self._words.wait_said("agent", ended, WORDS_TIMEOUT)
        await self._until(answer + INTERRUPT_AFTER)
        if clock() - (self._caller.heard.last_voice() or 0.0) > 0.4 or text.rstrip().endswith("?"):
            await self._caller.heard.until_silence(answer, LONGEST_ANSWER, END_OF_ANSWER)
            return None
        self._tell("caller", f"(interrupting) {question.said}")
        cut = await self._caller.say(self._speech(question.said))
        stopped = await self._caller.said.until_silence(cut, LONGEST_ANSWER)
        exchange = await self._listen(question, question.said, attempt, cut, stopped)
        self.exchanges.append(exchange)
        mine = self._caller.said.utterances(cut - 0.05)[0]
        full = await asyncio.to_thread(self._judge.seconds_of, text) if text else None
        return interrupted(self._caller.heard, mine, full)

    async def _until(self, moment: float) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, moment - clock()))

    def _speech(self, text: str) -> Samples:
        return self._synthesizer.speak(text, CALLER)
