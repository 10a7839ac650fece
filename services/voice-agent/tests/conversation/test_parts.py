"""A reply that comes in pieces: said as it comes, recorded as it was heard, dropped when nobody waits for it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from switchboard.contracts.calls import EndReason
from switchboard.contracts.providers import ProviderFault
from voice_agent.conversation import phrases
from voice_agent.conversation.core import initial, step
from voice_agent.conversation.models import (
    Answered,
    CallerLeft,
    CallerSpoke,
    Effect,
    Event,
    HangUp,
    Heard,
    PassagesFound,
    ReplyPart,
    ReplyReady,
    Respond,
    RetrievalFailed,
    Say,
    SayMore,
    Source,
    SpeechEnded,
    State,
    TurnDone,
)

pytestmark = pytest.mark.unit

SOURCE = Source(
    passage_id=uuid.UUID(int=1),
    document_id=uuid.UUID(int=2),
    document_name="prices.pdf",
    heading="Prices",
    text="Velora peel | $129",
    score=1.0,
    similarity=0.8,
)
FOUND = SOURCE.model_copy(update={"passage_id": uuid.UUID(int=3)})


def fault(stage: str) -> ProviderFault:
    return ProviderFault.model_validate(
        {"stage": stage, "endpoint": "main", "fault": "timeout", "served_by": "offline"}
    )


def part(index: int, text: str, *, last: bool = False, **more: Any) -> ReplyPart:
    values: dict[str, Any] = {"utterance": 2, "kind": "answered", **more}
    return ReplyPart(index=index, text=text, last=last, **values)


def run(*events: Event, state: State) -> tuple[State, list[Effect]]:
    done: list[Effect] = []
    for event in events:
        state, effects = step(State.model_validate_json(state.model_dump_json()), event)
        done += effects
    return state, done


def asked() -> State:
    """A question whose passages have been found; its utterance is 2."""
    state, _ = run(
        Answered(greeting="Hello"),
        SpeechEnded(utterance=1, heard="Hello", interrupted=False),
        CallerSpoke(heard=(Heard(text="how much is a peel", confidence=0.9),), faults=(fault("stt"),)),
        PassagesFound(utterance=2, sources=(SOURCE,)),
        state=initial(1),
    )
    return state


def test_pieces_are_said_as_they_come_and_filed_as_one_turn() -> None:
    state, effects = run(
        part(0, "It costs 129 dollars.", cited=SOURCE.passage_id, faults=(fault("llm"),)),
        part(1, "Anything else?", last=True, cited=SOURCE.passage_id, sources=(FOUND,)),
        state=asked(),
    )
    assert effects == [
        Say(utterance=2, kind="answered", text="It costs 129 dollars.", source=SOURCE, more=True),
        SayMore(utterance=2, text="Anything else?", last=True),
    ]
    ended = SpeechEnded(
        utterance=2, heard="It costs", interrupted=True, added="Sorry, my voice.", faults=(fault("tts"),)
    )
    state, effects = run(ended, state=state)
    done = effects[0]
    assert isinstance(done, TurnDone)
    assert (done.heard, done.interrupted) == ("It costs", True)
    assert done.open.saying == "It costs 129 dollars. Anything else? Sorry, my voice."
    assert done.open.cited == SOURCE.passage_id
    assert done.open.sources == (SOURCE, FOUND)
    assert [f.stage for f in done.open.faults] == ["stt", "llm", "tts"]
    assert state.history[-1].heard == "It costs"


def test_a_sentence_that_was_not_sure_makes_the_turn_so() -> None:
    state, _ = run(
        part(0, "We do that.", cited=SOURCE.passage_id),
        part(1, phrases.NOT_SURE, last=True, kind="dont_know"),
        SpeechEnded(utterance=2, heard="x", interrupted=False),
        state=asked(),
    )
    assert state.history[-1].kind == "dont_know"


@pytest.mark.parametrize(
    "late",
    [
        part(0, "Again."),
        part(2, "Out of order."),
        part(1, "Of another question.", utterance=1),
        ReplyReady(utterance=2, kind="answered", text="All of it again."),
    ],
)
def test_what_comes_twice_late_or_out_of_order_is_dropped(late: Event) -> None:
    state, _ = run(part(0, "It costs 129 dollars."), state=asked())
    assert step(state, late) == (state, ())


def test_nothing_follows_an_interruption() -> None:
    state, _ = run(
        part(0, "It costs 129 dollars."),
        SpeechEnded(utterance=2, heard="It", interrupted=True),
        state=asked(),
    )
    assert step(state, part(1, "Anything else?", last=True)) == (state, ())
    state, _ = run(part(0, "It costs."), CallerSpoke(heard=(Heard(text="wait", confidence=1),)), state=asked())
    assert step(state, part(1, "Anything else?", last=True)) == (state, ())


def test_nothing_follows_the_last_piece() -> None:
    state, _ = run(part(0, "It costs 129 dollars.", last=True), state=asked())
    assert step(state, part(1, "And more.", last=True)) == (state, ())


def test_a_brain_that_breaks_in_the_middle_is_owned_up_to() -> None:
    _, effects = run(part(0, "It costs 129 dollars."), RetrievalFailed(utterance=2), state=asked())
    assert effects[-1] == SayMore(utterance=2, text=phrases.LOST_THREAD, last=True)


def test_a_first_piece_without_words_is_not_waited_for() -> None:
    _, effects = run(part(0, " ", last=True), state=asked())
    assert effects == [Say(utterance=2, kind="dont_know", text=phrases.CANT_LOOK_UP)]


def test_a_goodbye_in_pieces_hangs_up_when_it_was_said() -> None:
    state, effects = run(
        part(0, "Thank you.", kind="small_talk"), part(1, "Goodbye!", last=True, kind="goodbye"), state=asked()
    )
    assert not any(isinstance(effect, HangUp) for effect in effects)
    _, effects = run(SpeechEnded(utterance=2, heard="Thank you. Goodbye!", interrupted=False), state=state)
    assert effects[-1] == HangUp(reason=EndReason.AGENT_ENDED)


def test_a_brain_is_told_what_was_really_heard() -> None:
    state, _ = run(
        part(0, "It costs 129 dollars and more.", last=True),
        SpeechEnded(utterance=2, heard="It costs", interrupted=True),
        state=asked(),
    )
    _, effects = run(
        CallerSpoke(heard=(Heard(text="sorry", confidence=1),)), PassagesFound(utterance=3, sources=()), state=state
    )
    respond = effects[-1]
    assert isinstance(respond, Respond)
    assert [(e.caller, e.heard) for e in respond.history] == [("", "Hello"), ("how much is a peel", "It costs")]


def test_a_caller_who_leaves_in_the_middle_leaves_a_filed_turn() -> None:
    _, effects = run(part(0, "It costs."), CallerLeft(reason=EndReason.CALLER_HUNG_UP), state=asked())
    assert isinstance(effects[-2], TurnDone)
