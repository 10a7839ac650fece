"""The conversation core: pure, whole, and the same every time."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from switchboard.contracts.calls import EndReason
from voice_agent.conversation import phrases
from voice_agent.conversation.core import MAX_ASK_AGAIN, initial, step
from voice_agent.conversation.models import (
    Answered,
    CallerLeft,
    CallerSilent,
    CallerSpoke,
    Effect,
    Event,
    HangUp,
    Heard,
    NoticeDue,
    PassagesFound,
    ReplyPart,
    ReplyReady,
    Respond,
    RetrievalFailed,
    Retrieve,
    Say,
    SayMore,
    Source,
    SpeechEnded,
    State,
    TimeIsUp,
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


def spoke(text: str, confidence: float = 0.9) -> CallerSpoke:
    return CallerSpoke(heard=(Heard(text=text, confidence=confidence),) if text else ())


def run(*events: Event, state: State | None = None) -> tuple[State, list[Effect]]:
    current = state or initial(1)
    done: list[Effect] = []
    for event in events:
        current, effects = step(current, event)
        done += effects
    return current, done


def greeted() -> State:
    state, _ = run(Answered(greeting="Hello"), SpeechEnded(utterance=1, heard="Hello", interrupted=False))
    return state


def test_a_question_is_looked_up_answered_and_filed() -> None:
    state, effects = run(spoke("how much is a velora peel"), state=greeted())
    assert effects == [Retrieve(utterance=2, queries=("how much is a velora peel",))]
    state, effects = run(PassagesFound(utterance=2, sources=(SOURCE,)), state=state)
    assert isinstance(effects[0], Respond)
    assert effects[0].sources == (SOURCE,)
    state, effects = run(
        ReplyReady(utterance=2, kind="answered", text="129 dollars.", cited=SOURCE.passage_id), state=state
    )
    assert effects == [Say(utterance=2, kind="answered", text="129 dollars.", source=SOURCE)]
    state, effects = run(SpeechEnded(utterance=2, heard="129 dollars.", interrupted=False), state=state)
    assert isinstance(effects[0], TurnDone)
    assert effects[0].turn == 1
    assert effects[0].open.cited == SOURCE.passage_id
    assert [e.kind for e in state.history] == ["greeting", "answered"]
    assert state.open is None


def test_the_record_keeps_only_what_was_really_heard() -> None:
    state, effects = run(
        spoke("how much is it"),
        PassagesFound(utterance=2, sources=()),
        ReplyReady(utterance=2, kind="answered", text="It costs 129 dollars and more."),
        SpeechEnded(utterance=2, heard="It costs", interrupted=True),
        state=greeted(),
    )
    done = effects[-1]
    assert isinstance(done, TurnDone)
    assert (done.heard, done.interrupted) == ("It costs", True)
    assert state.history[-1].heard == "It costs"


def test_what_comes_back_for_an_older_question_is_dropped() -> None:
    state, _ = run(spoke("first question"), spoke("second thought"), state=greeted())
    for late in (
        PassagesFound(utterance=2, sources=(SOURCE,)),
        RetrievalFailed(utterance=2),
        ReplyReady(utterance=2, kind="answered", text="wrong answer"),
        SpeechEnded(utterance=2, heard="x", interrupted=False),
    ):
        after, effects = step(state, late)
        assert effects == ()
        assert after == state


def test_a_question_in_two_breaths_is_one_question() -> None:
    _, effects = run(spoke("how much is"), spoke("a velora peel"), state=greeted())
    assert effects[-1] == Retrieve(utterance=3, queries=("how much is a velora peel",))


def test_nothing_understood_is_asked_again_twice_and_no_more() -> None:
    state = greeted()
    kinds = []
    for _ in range(MAX_ASK_AGAIN + 1):
        state, effects = run(spoke(""), state=state)
        say = effects[-1]
        assert isinstance(say, Say)
        kinds.append(say.kind)
        state, _ = run(SpeechEnded(utterance=say.utterance, heard=say.text, interrupted=False), state=state)
    assert kinds == ["asked_again"] * MAX_ASK_AGAIN + ["dont_know"]


def test_documents_that_cannot_be_asked_are_said_to_be_so() -> None:
    _, effects = run(spoke("how much is it"), RetrievalFailed(utterance=2), state=greeted())
    assert effects[-1] == Say(utterance=2, kind="dont_know", text=phrases.CANT_LOOK_UP)


def test_the_brains_memory_comes_back_with_the_next_question() -> None:
    state, _ = run(
        spoke("velora"),
        PassagesFound(utterance=2, sources=()),
        ReplyReady(utterance=2, kind="asked_again", text="Did you ask about Velora?", memory={"guess": "velora"}),
        SpeechEnded(utterance=2, heard="Did you ask about Velora?", interrupted=False),
        state=greeted(),
    )
    _, effects = run(spoke("yes"), PassagesFound(utterance=3, sources=()), state=state)
    respond = effects[-1]
    assert isinstance(respond, Respond)
    assert respond.memory == {"guess": "velora"}
    assert respond.tries_left == MAX_ASK_AGAIN - 1


def test_goodbye_hangs_up_after_it_was_said() -> None:
    state, effects = run(
        spoke("goodbye"),
        PassagesFound(utterance=2, sources=()),
        ReplyReady(utterance=2, kind="goodbye", text="Goodbye!"),
        state=greeted(),
    )
    assert not any(isinstance(effect, HangUp) for effect in effects)
    state, effects = run(SpeechEnded(utterance=2, heard="Goodbye!", interrupted=False), state=state)
    assert effects[-1] == HangUp(reason=EndReason.AGENT_ENDED)
    assert state.phase == "over"


def test_a_notice_is_said_once_and_ends_the_call_with_its_own_reason() -> None:
    state, effects = run(NoticeDue(text="All lines are busy.", reason=EndReason.OVER_CAPACITY))
    assert effects == [Say(utterance=1, kind="notice", text="All lines are busy.")]
    state, effects = run(spoke("hello?"), SpeechEnded(utterance=1, heard="All", interrupted=False), state=state)
    assert effects[-1] == HangUp(reason=EndReason.OVER_CAPACITY)


def test_silence_is_asked_about_once_and_then_ends_the_call() -> None:
    state, effects = run(CallerSilent(), state=greeted())
    assert isinstance(effects[-1], Say)
    assert effects[-1].text == phrases.STILL_THERE
    state, _ = run(SpeechEnded(utterance=2, heard="x", interrupted=False), state=state)
    state, effects = run(CallerSilent(), SpeechEnded(utterance=3, heard="x", interrupted=False), state=state)
    assert effects[-1] == HangUp(reason=EndReason.AGENT_ENDED)


def test_speaking_again_makes_silence_new() -> None:
    state, _ = run(CallerSilent(), SpeechEnded(utterance=2, heard="x", interrupted=False), state=greeted())
    state, _ = run(spoke("sorry, one moment"), state=state)
    assert state.silences == 0


def test_the_longest_time_ends_the_call_whatever_is_being_said() -> None:
    state, effects = run(spoke("how much"), TimeIsUp(), state=greeted())
    say = effects[-1]
    assert isinstance(say, Say)
    state, effects = run(SpeechEnded(utterance=say.utterance, heard="x", interrupted=False), state=state)
    assert effects[-1] == HangUp(reason=EndReason.TIME_LIMIT)


def test_a_caller_who_leaves_in_mid_answer_leaves_a_filed_turn() -> None:
    state, effects = run(
        spoke("how much is it"),
        PassagesFound(utterance=2, sources=()),
        ReplyReady(utterance=2, kind="answered", text="129 dollars."),
        CallerLeft(reason=EndReason.CALLER_HUNG_UP),
        state=greeted(),
    )
    assert isinstance(effects[-2], TurnDone)
    assert effects[-1] == HangUp(reason=EndReason.CALLER_HUNG_UP)
    assert step(state, spoke("hello")) == (state, ())


texts = st.sampled_from(["", "how much is it", "yes", "goodbye"])
kinds = st.sampled_from(["answered", "asked_again", "dont_know", "small_talk", "goodbye"])
utterances = st.integers(0, 8)
events = st.one_of(
    st.builds(Answered, greeting=st.just("Hello")),
    st.builds(NoticeDue, text=st.just("Busy."), reason=st.just(EndReason.OVER_CAPACITY)),
    texts.map(spoke),
    st.builds(PassagesFound, utterance=utterances, sources=st.just((SOURCE,))),
    st.builds(RetrievalFailed, utterance=utterances),
    st.builds(ReplyReady, utterance=utterances, kind=kinds, text=st.just("Words.")),
    st.builds(
        ReplyPart,
        utterance=utterances,
        index=st.integers(0, 3),
        kind=kinds,
        text=st.sampled_from(["Words.", ""]),
        last=st.booleans(),
    ),
    st.builds(SpeechEnded, utterance=utterances, heard=st.just("Wo"), interrupted=st.booleans()),
    st.builds(CallerSilent),
    st.builds(TimeIsUp),
    st.builds(CallerLeft, reason=st.just(EndReason.CALLER_HUNG_UP)),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(events, max_size=40))
def test_any_order_of_events_keeps_the_promises(sequence: list[Event]) -> None:
    """At most one hang-up, as the last effect; turns numbered without gaps; nothing after the end; state survives JSON."""
    state = initial(1)
    hang_ups = 0
    turns: list[int] = []
    for event in sequence:
        before = state
        state = State.model_validate_json(state.model_dump_json())
        assert state == before
        state, effects = step(state, event)
        assert step(before, event) == (state, effects)
        if before.phase == "over":
            assert effects == ()
        for position, effect in enumerate(effects):
            if isinstance(effect, HangUp):
                hang_ups += 1
                assert position == len(effects) - 1
                assert state.phase == "over"
            if isinstance(effect, TurnDone):
                turns.append(effect.turn)
            if isinstance(effect, Say):
                assert effect.text
            if isinstance(effect, SayMore):
                assert before.open is not None
                assert before.open.unfinished
                assert effect.utterance == before.open.utterance
        assert state.turn == len(turns)
        assert state.utterance >= before.utterance
    assert hang_ups <= 1
    assert turns == list(range(len(turns)))
    assert (state.phase == "over") == (hang_ups == 1)


def test_a_reply_without_words_is_not_waited_for() -> None:
    """Silence would never be heard to end, and the conversation would stand still."""
    state, _ = run(spoke("how much"), PassagesFound(utterance=2, sources=()), state=greeted())
    _, effects = run(ReplyReady(utterance=2, kind="answered", text=" "), state=state)
    assert effects == [Say(utterance=2, kind="dont_know", text=phrases.CANT_LOOK_UP)]


def test_the_limit_does_not_change_why_a_call_is_being_closed() -> None:
    closing = run(NoticeDue(text="Closed.", reason=EndReason.TENANT_NOT_LIVE))[0]
    _, effects = run(TimeIsUp(), SpeechEnded(utterance=1, heard="Closed.", interrupted=False), state=closing)
    assert effects[-1] == HangUp(reason=EndReason.TENANT_NOT_LIVE)
