"""What the page tells, put in order: the call's facts, its turns with their stretches of sound, and what the judge found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from fleet.api import CallRecord, Turn
from fleet.call import CallOutcome
from fleet.dialogue import Exchange
from fleet.page.sound import Sound, sound_of
from fleet.view import Stage, stages, stages_since, turn_of

OFFLINE = (
    ("hearing", "pocketsphinx"),
    ("answers", "extractive, from the clinic's own passages"),
    ("search", "MiniLM embeddings"),
    ("voice", "espeak-ng"),
)


@dataclass(frozen=True)
class Facts:
    """What the record doesn't know about a call. `providers`: what each stage ran on."""

    clinic: str
    number: str
    seed: int
    sip: str
    providers: tuple[tuple[str, str], ...] = OFFLINE


@dataclass(frozen=True)
class Mark:
    """A stretch of one side's sound, in seconds from the recording's start. `cut`: it was interrupted at its end."""

    side: str
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

    @property
    def said(self) -> str:
        """What the caller really said, where the caller was ours; empty otherwise."""
        return self.exchanges[-1].said if self.exchanges else ""


@dataclass(frozen=True)
class Story:
    """Everything the page shows. `began` is the recording's start in seconds since the epoch."""

    facts: Facts
    outcome: CallOutcome
    sound: Sound
    began: float
    moments: list[Moment]

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
    moments = [of_turn(turn, asked.get(turn.turn, []), began, sound.seconds) for turn in turns]
    moments += [of_question(exchange, began) for exchange in left]
    moments.sort(key=lambda moment: moment.start)
    return Story(facts, outcome, sound, began, moments)


def of_turn(turn: Turn, exchanges: list[Exchange], began: float, seconds: float) -> Moment:
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
    moment = Moment(str(turn.turn), turn, exchanges, marks, start)
    if exchanges:
        moment.stages = stages(exchanges[-1], turn)
    elif times.speech_ended is not None:
        moment.stages = stages_since(times.speech_ended.timestamp(), None, turn)
        moment.by_ear = False
    return moment


def of_question(exchange: Exchange, began: float) -> Moment:
    """A question that no recorded turn answers."""
    moment = Moment("", None, [exchange], [], max(0.0, exchange.speech_ended - began))
    moment.stages = stages(exchange, None)
    return moment
