"""Which question is asked by which voice over which line, and what came of it."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from switchboard.contracts.calls import TurnKind
from voice_agent.offline.ear import Ear
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.spoken import words

from bench.offline.call import Conversation, Place, hear, open_ear
from bench.offline.clinics import FORMS, Clinic, Form, Question
from bench.offline.judge import Verdict, judge
from bench.offline.knowledge import Knowledge
from bench.offline.line import NOISES, VOICES, Noise, Take, Voice, say

TRIES = 2


@dataclass(frozen=True)
class Trial:
    """One caller with one question."""

    question: Question
    voice: Voice
    noise: Noise

    def take(self, attempt: int, seed: int) -> Take:
        """Another take of the same words has another noise."""
        text = f"{seed} {self.question.clinic} {self.question.text} {self.voice.name} {self.noise} {attempt}"
        return Take(self.voice, self.noise, attempt, zlib.crc32(text.encode()))


@dataclass(frozen=True)
class Attempt:
    """What one take gave. ``heard``: all readings; ``errors``: wrong words of the best one, of ``size`` that were said."""

    heard: Hypotheses
    errors: int
    least_errors: int
    size: int
    kind: TurnKind | None = None
    said: str = ""
    verdict: Verdict = "other"


@dataclass(frozen=True)
class Outcome:
    """A trial and its attempts, the second only after "could you say that again?"."""

    trial: Trial
    attempts: tuple[Attempt, ...]

    @property
    def verdict(self) -> Verdict:
        """What the caller had in the end."""
        return self.attempts[-1].verdict

    def to_json(self) -> str:
        """For a closer look at a development clinic."""
        held = {"trial": asdict(self.trial), "attempts": [asdict(one) for one in self.attempts]}
        return json.dumps(held)


def plan(clinic: Clinic, group: str, *, quick: bool, conditions: int, seed: int) -> list[Trial]:
    """Every question in ``conditions`` of the voices and lines, turn by turn, so that each gets equally many questions.

    One more or less where a form's trials are no multiple of the pairs. ``quick``: four questions of each form.
    """
    pairs = [(voice, noise) for noise in NOISES for voice in VOICES[group]]
    draw = random.Random(f"{seed} {clinic.key} plan")
    trials: list[Trial] = []
    for form in FORMS:
        questions = [question for question in clinic.questions if question.form == form]
        if quick:
            questions = draw.sample(questions, 4)
        at = draw.randrange(len(pairs))
        for question in questions:
            for _ in range(conditions):
                voice, noise = pairs[at % len(pairs)]
                trials.append(Trial(question, voice, noise))
                # seven is prime to ten: voices and lines both change at each step
                at += 7 if conditions < len(pairs) else 1
    return trials


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Substitutions, insertions and deletions between two word lists."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said, 1):
        before, row[0] = row[0], at
        for other, candidate in enumerate(heard, 1):
            cost = min(row[other] + 1, row[other - 1] + 1, before + (word != candidate))
            before, row[other] = row[other], cost
    return row[-1]


def attempt_of(question: Question, heard: Hypotheses) -> Attempt:
    """The ear's part."""
    said = words(question.text)
    readings = [one.text.split() for one in heard.alternatives] or [[]]
    errors = [word_errors(said, reading) for reading in readings]
    return Attempt(heard, errors[0], min(errors), len(said))


@dataclass
class Runner:
    """Runs trials of one clinic on ``workers`` ears at a time. ``knowledge`` None: only the ear is asked."""

    place: Place
    knowledge: Knowledge | None
    seed: int
    workers: int = 2

    async def run(self, trials: Sequence[Trial], done: Callable[[Outcome], None]) -> None:
        """Calls ``done`` with each outcome, in no order."""
        waiting = iter(trials)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.workers):
                group.create_task(self._work(waiting, done))

    async def _work(self, waiting: Iterator[Trial], done: Callable[[Outcome], None]) -> None:
        ear = await open_ear(self.place)
        try:
            for trial in waiting:
                done(await self._ask(ear, trial))
        finally:
            await ear.aclose()

    async def _ask(self, ear: Ear, trial: Trial) -> Outcome:
        attempts: list[Attempt] = []
        talk = None if self.knowledge is None else Conversation(self.place, self.knowledge)
        for number in range(TRIES):
            audio = await asyncio.to_thread(say, trial.question.text, trial.take(number, self.seed))
            attempt = attempt_of(trial.question, await hear(ear, audio))
            if talk is not None:
                reply = await talk.hears(attempt.heard)
                verdict = judge(self.place.clinic, trial.question, reply.kind, reply.text)
                attempt = replace(attempt, kind=reply.kind, said=reply.text, verdict=verdict)
            attempts.append(attempt)
            if attempt.verdict != "asked":
                break
        return Outcome(trial, tuple(attempts))


def forms_of(outcomes: Sequence[Outcome], form: Form) -> list[Outcome]:
    """Those with a question of this form."""
    return [one for one in outcomes if one.trial.question.form == form]
