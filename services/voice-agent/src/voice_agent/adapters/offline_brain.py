"""The brain that needs no model: says what a passage says, asks again, or says that it doesn't know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from switchboard.clock import Clock
from switchboard.contracts.calls import TurnKind
from switchboard.contracts.snapshot import WEEKDAYS, Location, TenantSnapshot

from voice_agent.conversation.models import Heard, ReplyReady, Respond
from voice_agent.offline.answerer import decide
from voice_agent.offline.answers import Answer, AskAgain, Decision, DontKnow, Passage
from voice_agent.offline.hypotheses import Hypotheses, Hypothesis

_ASKED = "asked"


class OfflineBrain:
    """``decide`` with the conversation's memory and the tenant's configuration as further passages."""

    def __init__(self, snapshot: TenantSnapshot, clock: Clock) -> None:
        self._profile = profile_passages(snapshot)
        self._zone = ZoneInfo(snapshot.time_zone)
        self._clock = clock

    async def respond(self, request: Respond) -> ReplyReady:
        found = [
            Passage(str(s.passage_id), str(s.document_id), s.heading, s.text, s.score, s.similarity)
            for s in request.sources
        ]
        asked = [_asked(entry) for entry in request.memory.get(_ASKED, [])]
        now = self._clock.now()
        decision = decide(
            heard_of(request.detail, request.heard),
            [*found, *self._profile],
            asked=asked,
            last_said=request.last_said,
            today=WEEKDAYS[now.astimezone(self._zone).weekday()],
        )
        again = [*asked, decision] if isinstance(decision, AskAgain) else []
        return ReplyReady(
            utterance=request.utterance,
            kind=_kind(decision),
            text=decision.prompt if isinstance(decision, AskAgain) else decision.text,
            cited=_cited(decision, {str(s.passage_id) for s in request.sources}),
            memory={_ASKED: [asdict(entry) for entry in again]} if again else {},
            first_token=self._clock.now(),
        )


def _kind(decision: Decision) -> TurnKind:
    if isinstance(decision, Answer):
        return "answered"
    if isinstance(decision, AskAgain):
        return "asked_again"
    if isinstance(decision, DontKnow):
        return "dont_know"
    return "goodbye" if decision.talk == "goodbye" else "small_talk"


def _cited(decision: Decision, retrieved: set[str]) -> UUID | None:
    """The passage an answer was taken from, when retrieval returned it (the configuration's own have no record)."""
    if isinstance(decision, Answer) and decision.passage_id in retrieved:
        return UUID(decision.passage_id)
    return None


def _asked(entry: dict[str, Any]) -> AskAgain:
    guess = entry.get("guess")
    return AskAgain(entry["reason"], entry["prompt"], Answer(**guess) if guess else None)


def heard_of(detail: Sequence[dict[str, Any]], heard: Sequence[Heard]) -> Hypotheses:
    """What was heard, with word confidences where the ear gave them; several pieces of speech become one."""
    if not detail:
        readings = [Hypotheses.of_text(h.text, confidence=h.confidence) for h in heard]
        return Hypotheses(tuple(reading for one in readings for reading in one.alternatives))
    pieces = [Hypotheses.from_json(one) for one in detail]
    pieces = [piece for piece in pieces if piece.alternatives]
    if len(pieces) < 2:
        return pieces[0] if pieces else Hypotheses()
    before = [word for piece in pieces[:-1] for word in piece.alternatives[0].words]
    last = pieces[-1]
    return Hypotheses(
        tuple(Hypothesis((*before, *reading.words), reading.score) for reading in last.alternatives),
        tuple(phone for piece in pieces for phone in piece.phones),
        sum(piece.duration for piece in pieces),
    )


def profile_passages(snapshot: TenantSnapshot) -> list[Passage]:
    """Hours, addresses and notes as passages in the layouts that the answerer reads."""
    several = len(snapshot.locations) > 1
    found: list[Passage] = []
    for location in snapshot.locations:
        base = f"profile:{location.id}"
        heading = f"Opening hours {location.name}" if several else "Opening hours"
        if location.hours:
            found.append(Passage(f"{base}:hours", "profile", heading, _hours(location)))
        if location.address:
            name = f" of {location.name}" if several else ""
            found.append(
                Passage(
                    f"{base}:address", "profile", "Where are you located?", f"The address{name} is {location.address}."
                )
            )
        if location.notes:
            found.append(Passage(f"{base}:notes", "profile", location.name, location.notes))
    return found


def _hours(location: Location) -> str:
    lines = []
    for day in WEEKDAYS:
        times = [f"{o.opens:%I:%M %p} to {o.closes:%I:%M %p}" for o in location.hours if o.day == day]
        lines.append(f"{day.capitalize()}: {' and '.join(times) if times else 'closed'}")
    return "\n".join(lines)
