"""What the page tells, put in order: the call's facts, its turns with their stretches of sound, and what the judge found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fleet.api import CallRecord, Turn
from fleet.call import CallOutcome
from fleet.dialogue import Exchange
from fleet.page.sound import Sound, sound_of
from fleet.view import Stage, stages, stages_since, turn_of
from fleet.voice_activity import Utterance

OFFLINE = (
    ("hearing", "a small acoustic network"),
    ("answers", "extractive, from the clinic's own passages"),
    ("search", "MiniLM embeddings"),
    ("voice", "espeak-ng"),
)


STAGES = {"stt": "hearing", "llm": "answers", "embeddings": "search", "tts": "voice"}


def chosen(chains: dict[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """What a clinic's chains (as the public API takes them) put in the place of the offline pipeline, in order."""
    found = []
    for stage, label in STAGES.items():
        links = (chains or {}).get(stage) or []
        links = [links] if isinstance(links, dict) else links
        names = [link["endpoint"] for link in links]
        found.append((label, ", then ".join(names) or dict(OFFLINE)[label]))
    return tuple(found)


@dataclass(frozen=True)
class Facts:
    """What the record doesn't know about a call. `providers`: what each stage ran on."""

    clinic: str
    number: str
    seed: int
    sip: str
    providers: tuple[tuple[str, str], ...] = OFFLINE


NEAR = 1.0
"""Seconds by which the agent's mark of the caller's last sound and that sound itself may differ."""


@dataclass(frozen=True)
class Mark:
    """A stretch of the recording, in seconds from its start. `whose`: the side that speaks, or the turn that is cut.

    `cut`: the caller spoke up before it was over.
    """

    whose: str
    start: float
    end: float
    cut: bool = False


@dataclass
class Moment:
    """One turn of the record with the times the question was asked in it, or a question that left no turn."""

    label: str
    turn: Turn | None
    exchanges: list[Exchange]
    marks: list[Mark]
    start: float
    stages: list[Stage] = field(default_factory=list)
    by_ear: bool = True


@dataclass(frozen=True)
class Story:
    """Everything the page shows. `began` is the recording's start in seconds since the epoch."""

    facts: Facts
    outcome: CallOutcome
    sound: Sound
    began: float
    moments: list[Moment]
    cuts: list[Mark]
    """For each answer that was cut off: from where the caller spoke up, if that was why, to where the agent fell silent."""

    @property
    def record(self) -> CallRecord | None:
        return self.outcome.record

    @property
    def date(self) -> datetime:
        return self.record.call.started_at if self.record else datetime.fromtimestamp(self.began, UTC)


def tell(outcome: CallOutcome, facts: Facts) -> Story:
    """The story of a call. Works with whatever there is: no record, no sound, no answer."""
    sound = sound_of(outcome.said, outcome.heard)
    began = sound.began + outcome.offset
    turns = outcome.record.turns if outcome.record else []
    asked: dict[int, list[Exchange]] = {}
    left: list[Exchange] = []
    for exchange in outcome.exchanges:
        turn = turn_of(exchange, outcome.record) if outcome.record else None
        if turn is None:
            left.append(exchange)
        else:
            asked.setdefault(turn.turn, []).append(exchange)
    spoken = Spoken.of(outcome)
    moments = [of_turn(turn, asked.get(turn.turn, []), began, sound.seconds, spoken) for turn in turns]
    moments += [of_question(exchange, began, spoken) for exchange in left]
    moments.sort(key=lambda moment: moment.start)
    return Story(facts, outcome, sound, began, moments, cuts(moments, spoken, began))


def cuts(moments: list[Moment], spoken: Spoken, began: float) -> list[Mark]:
    """The interruptions. The record doesn't know when the caller spoke up; the sound does."""
    found = []
    for moment in moments:
        for mark in moment.marks:
            if mark.cut:
                starts = [part.start - began for part in spoken.caller if mark.start < part.start - began <= mark.end]
                found.append(Mark(moment.label, max(starts, default=mark.end), mark.end, cut=True))
    return found


@dataclass(frozen=True)
class Spoken:
    """What the sound itself says about who spoke when, in seconds since the epoch."""

    caller: list[Utterance]
    agent: list[Utterance]

    @classmethod
    def of(cls, outcome: CallOutcome) -> Spoken:
        sides = (
            [Utterance(part.start + outcome.offset, part.end + outcome.offset) for part in track.utterances()]
            for track in (outcome.said, outcome.heard)
        )
        return cls(*sides)

    def ended_near(self, moment: float) -> Utterance | None:
        """The caller's utterance that ended at about this moment."""
        near = [part for part in self.caller if abs(part.end - moment) <= NEAR]
        return min(near, key=lambda part: abs(part.end - moment), default=None)

    def answered_from(self, moment: float) -> float | None:
        """When the agent was next heard to begin, before the caller spoke again."""
        heard = next((part.start for part in self.agent if part.start >= moment), None)
        again = next((part.start for part in self.caller if part.start >= moment), None)
        return None if heard is None or (again is not None and again < heard) else heard


def of_turn(turn: Turn, exchanges: list[Exchange], began: float, seconds: float, spoken: Spoken) -> Moment:
    """A recorded turn. Its stages count from the caller's last sound, or from the agent's mark of it when nobody measured."""

    def at(moment: datetime | None) -> float | None:
        return None if moment is None else min(max(moment.timestamp() - began, 0.0), seconds)

    times = turn.timings
    marks = []
    sides = (
        ("caller", at(times.speech_started), at(times.speech_ended), False),
        ("agent", at(times.first_audio), at(times.speech_stopped), turn.interrupted),
    )
    for side, start, end, cut in sides:
        if start is not None and end is not None and end > start:
            marks.append(Mark(side, start, end, cut))
    known = [at(one) for one in (times.speech_started, times.end_of_turn, times.first_audio)]
    start = next((one for one in known if one is not None), 0.0)
    # The sound knows better: after words that the ear couldn't read, the agent's mark may be that of an earlier try.
    asked = spoken.ended_near(exchanges[0].speech_ended) if exchanges else None
    start = max(0.0, asked.start - began) if asked else start
    moment = Moment(str(turn.turn), turn, exchanges, marks, start)
    if exchanges:
        moment.stages = stages(exchanges[-1], turn)
    elif times.speech_ended is not None:
        ended = times.speech_ended.timestamp()
        uttered = spoken.ended_near(ended)
        moment.by_ear = uttered is not None
        heard = spoken.answered_from(uttered.end) if uttered else None
        moment.stages = stages_since(uttered.end if uttered else ended, heard, turn)
    return moment


def of_question(exchange: Exchange, began: float, spoken: Spoken) -> Moment:
    """A question that no recorded turn answers."""
    uttered = spoken.ended_near(exchange.speech_ended)
    start = uttered.start if uttered else exchange.speech_ended
    moment = Moment("", None, [exchange], [], max(0.0, start - began))
    moment.stages = stages(exchange, None)
    return moment
