"""The conversation as a pure machine: ``step(state, event)`` gives the next state and what is to be done.

It knows nothing of rooms, audio, buses or clocks: times arrive inside events. The same events give the same conversation,
so a call can be taken over after a crash, replayed through another version, or held by text.

Late answers are recognised by ``utterance``: each thing that the caller says, and each thing that we begin to say on our
own, gets the next number, and whatever comes back for an older one is dropped.
"""

from __future__ import annotations

from typing import assert_never

from switchboard.contracts.calls import EndReason, TurnKind

from voice_agent.conversation import phrases
from voice_agent.conversation.models import (
    Answered,
    CallerLeft,
    CallerSilent,
    CallerSpoke,
    Effect,
    Event,
    Exchange,
    HangUp,
    Heard,
    NoticeDue,
    OpenTurn,
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
from voice_agent.offline.question import retrieval_queries

MAX_ASK_AGAIN = 2
"""How often in a row the caller is asked to repeat; people give up after that."""

MAX_QUERIES = 4
MAX_HISTORY = 200

MAX_CONTEXT = 20
"""Turns that a brain is given; more would not fit into what it may read."""

Step = tuple[State, tuple[Effect, ...]]
_NOTHING: tuple[Effect, ...] = ()


def step(state: State, event: Event) -> Step:
    """The next state and the effects, in the order in which they are to be carried out."""
    if state.phase == "over":
        return state, _NOTHING
    match event:
        case Answered():
            return _begin(state, "greeting", event.greeting, phase="talking")
        case NoticeDue():
            # end_reason stands from now on: the call is over as soon as the notice has been said.
            return _begin(state.model_copy(update={"end_reason": event.reason}), "notice", event.text, phase="closing")
        case CallerSpoke():
            return _caller_spoke(state, event)
        case PassagesFound():
            return _passages_found(state, event)
        case RetrievalFailed():
            return _retrieval_failed(state, event)
        case ReplyReady():
            return _reply_ready(state, event)
        case ReplyPart():
            return _reply_part(state, event)
        case SpeechEnded():
            return _speech_ended(state, event)
        case CallerSilent():
            return _caller_silent(state)
        case TimeIsUp():
            if state.phase == "closing":
                return state, _NOTHING  # the reason why it is being closed stands
            closing = state.model_copy(update={"end_reason": EndReason.TIME_LIMIT})
            return _begin(closing, "goodbye", phrases.TIME_IS_UP, phase="closing")
        case CallerLeft():
            return _caller_left(state, event)
        case _ as never:
            assert_never(never)


def _begin(state: State, kind: TurnKind, text: str, *, phase: str) -> Step:
    """Say something that answers nothing the caller said."""
    if state.phase == "closing":
        return state, _NOTHING
    closed, effects = _close_open(state, interrupted=True)
    utterance = closed.utterance + 1
    opened = OpenTurn(utterance=utterance, kind=kind, saying=text)
    after = closed.model_copy(update={"phase": phase, "utterance": utterance, "open": opened})
    return after, (*effects, Say(utterance=utterance, kind=kind, text=text))


def _caller_spoke(state: State, event: CallerSpoke) -> Step:
    if state.phase != "talking":
        return state, _NOTHING
    heard, detail, faults = event.heard, event.detail, event.faults
    pending = state.open
    effects: tuple[Effect, ...] = ()
    if pending is not None and not pending.saying:
        # The caller went on before we had begun to answer: it is one question, said in two breaths.
        heard = _joined(pending.caller, heard)
        detail = (*pending.detail, *detail)
        faults = (*pending.faults, *faults)
    else:
        state, effects = _close_open(state, interrupted=True)
    utterance = state.utterance + 1
    opened = OpenTurn(utterance=utterance, caller=heard, detail=detail, faults=faults, timings=event.timings)
    state = state.model_copy(update={"utterance": utterance, "open": opened, "silences": 0})
    queries = retrieval_queries([h.text for h in heard if h.text.strip()], MAX_QUERIES)
    if not queries:
        return _ask_again(state, effects)
    return state, (*effects, Retrieve(utterance=utterance, queries=queries))


def _joined(first: tuple[Heard, ...], second: tuple[Heard, ...]) -> tuple[Heard, ...]:
    """Both halves of a question as one; the best of the first half with each reading of the second."""
    if not first or not second:
        return first or second
    return tuple(
        Heard(text=f"{first[0].text} {h.text}", confidence=min(first[0].confidence, h.confidence)) for h in second
    )


def _ask_again(state: State, effects: tuple[Effect, ...]) -> Step:
    """Nothing could be made out."""
    again = state.asked_again + 1
    kind: TurnKind = "asked_again" if again <= MAX_ASK_AGAIN else "dont_know"
    text = phrases.NOT_HEARD if again <= MAX_ASK_AGAIN else phrases.NOT_HEARD_AGAIN
    state = state.model_copy(update={"asked_again": again if again <= MAX_ASK_AGAIN else 0})
    return _say(state, effects, kind, text, None)


def _passages_found(state: State, event: PassagesFound) -> Step:
    current = state.open
    if current is None or current.utterance != event.utterance or current.saying:
        return state, _NOTHING
    timings = current.timings.model_copy(
        update={"retrieval_started": event.started_at, "retrieval_ended": event.ended_at}
    )
    faults = (*current.faults, *event.faults)
    current = current.model_copy(update={"sources": event.sources, "faults": faults, "timings": timings})
    respond = Respond(
        utterance=event.utterance,
        heard=current.caller,
        detail=current.detail,
        sources=event.sources,
        tries_left=MAX_ASK_AGAIN - state.asked_again,
        memory=state.memory,
        last_said=_last_said(state),
        history=state.history[-MAX_CONTEXT:],
    )
    return state.model_copy(update={"open": current}), (respond,)


def _last_said(state: State) -> str:
    """What "say that again" would repeat: the last thing that was not itself a request to repeat."""
    for exchange in reversed(state.history):
        if exchange.kind in ("answered", "dont_know", "greeting"):
            return exchange.said
    return ""


def _retrieval_failed(state: State, event: RetrievalFailed) -> Step:
    current = state.open
    if current is None or current.utterance != event.utterance:
        return state, _NOTHING
    if current.unfinished:
        return _go_on(state, current, phrases.LOST_THREAD, last=True)
    if current.saying:
        return state, _NOTHING
    return _say(state, (), "dont_know", phrases.CANT_LOOK_UP, None)


def _reply_part(state: State, event: ReplyPart) -> Step:
    """A reply in pieces: the first one opens our mouth, the others go on with what is being said."""
    current = state.open
    if current is None or current.utterance != event.utterance or current.parts != event.index:
        return state, _NOTHING
    if event.index == 0:
        return _first_part(state, current, event)
    if not current.unfinished:
        return state, _NOTHING
    state, current = _noted(state, current, event)
    return _go_on(state, current, event.text.strip(), last=event.last)


def _first_part(state: State, current: OpenTurn, event: ReplyPart) -> Step:
    if current.saying:
        return state, _NOTHING
    state, current = _noted(state, current, event)
    if not event.text.strip():
        # As for a whole reply: what is not spoken is never heard to end.
        return _say(state, (), "dont_know", phrases.CANT_LOOK_UP, None)
    timings = current.timings.model_copy(update={"first_token": event.first_token})
    current = current.model_copy(update={"timings": timings, "unfinished": not event.last})
    again = state.asked_again + 1 if event.kind == "asked_again" else 0
    state = state.model_copy(update={"open": current, "asked_again": again})
    source = next((s for s in current.sources if s.passage_id == event.cited), None)
    return _say(state, (), event.kind, event.text.strip(), source, more=not event.last)


def _noted(state: State, current: OpenTurn, event: ReplyPart) -> tuple[State, OpenTurn]:
    """What the part says of the whole reply."""
    known = {source.passage_id for source in current.sources}
    current = current.model_copy(
        update={
            "kind": event.kind if current.saying else None,
            "cited": event.cited,
            "sources": (*current.sources, *(s for s in event.sources if s.passage_id not in known)),
            "faults": (*current.faults, *event.faults),
            "parts": event.index + 1,
        }
    )
    updates: dict[str, object] = {"open": current, "memory": event.memory}
    if event.kind == "goodbye":
        updates |= {"phase": "closing", "end_reason": EndReason.AGENT_ENDED}
    return state.model_copy(update=updates), current


def _go_on(state: State, current: OpenTurn, text: str, *, last: bool) -> Step:
    saying = f"{current.saying} {text}".strip()
    current = current.model_copy(update={"saying": saying, "unfinished": not last})
    return state.model_copy(update={"open": current}), (SayMore(utterance=current.utterance, text=text, last=last),)


def _reply_ready(state: State, event: ReplyReady) -> Step:
    current = state.open
    if current is None or current.utterance != event.utterance or current.saying:
        return state, _NOTHING
    if not event.text.strip():
        # Nothing to say would never be heard to end, and the conversation would wait for that.
        return _say(state, (), "dont_know", phrases.CANT_LOOK_UP, None)
    timings = current.timings.model_copy(update={"first_token": event.first_token})
    current = current.model_copy(update={"cited": event.cited, "timings": timings})
    again = state.asked_again + 1 if event.kind == "asked_again" else 0
    phase = "closing" if event.kind == "goodbye" else state.phase
    updates: dict[str, object] = {"open": current, "asked_again": again, "phase": phase, "memory": event.memory}
    if event.kind == "goodbye":
        updates["end_reason"] = EndReason.AGENT_ENDED
    source = next((s for s in current.sources if s.passage_id == event.cited), None)
    return _say(state.model_copy(update=updates), (), event.kind, event.text, source)


def _say(
    state: State,
    effects: tuple[Effect, ...],
    kind: TurnKind,
    text: str,
    source: Source | None,
    *,
    more: bool = False,
) -> Step:
    assert state.open is not None
    opened = state.open.model_copy(update={"kind": kind, "saying": text})
    say = Say(utterance=opened.utterance, kind=kind, text=text, source=source, more=more)
    return state.model_copy(update={"open": opened}), (*effects, say)


def _speech_ended(state: State, event: SpeechEnded) -> Step:
    current = state.open
    if current is None or current.utterance != event.utterance or not current.saying:
        return state, _NOTHING
    timings = current.timings.model_copy(update={"first_audio": event.first_audio, "speech_stopped": event.stopped})
    spoken = {
        "timings": timings,
        "saying": f"{current.saying} {event.added}".strip(),
        "faults": (*current.faults, *event.faults),
    }
    state = state.model_copy(update={"open": current.model_copy(update=spoken)})
    state, effects = _close_open(state, heard=event.heard, interrupted=event.interrupted)
    if state.phase != "closing":
        return state, effects
    assert state.end_reason is not None
    return state.model_copy(update={"phase": "over"}), (*effects, HangUp(reason=state.end_reason))


def _close_open(state: State, *, interrupted: bool, heard: str = "") -> Step:
    """File the open turn, if anything was said in it."""
    current = state.open
    if current is None:
        return state, _NOTHING
    if current.kind is None:
        return state.model_copy(update={"open": None}), _NOTHING
    exchange = Exchange(
        turn=state.turn,
        kind=current.kind,
        caller=current.caller[0].text if current.caller else "",
        said=current.saying,
        heard=heard,
        interrupted=interrupted,
    )
    done = TurnDone(turn=state.turn, open=current, heard=heard, interrupted=interrupted)
    history = (*state.history, exchange)[-MAX_HISTORY:]
    return state.model_copy(update={"open": None, "turn": state.turn + 1, "history": history}), (done,)


def _caller_silent(state: State) -> Step:
    if state.phase != "talking" or state.open is not None:
        return state, _NOTHING
    if state.silences == 0:
        return _begin(state.model_copy(update={"silences": 1}), "small_talk", phrases.STILL_THERE, phase="talking")
    closing = state.model_copy(update={"end_reason": EndReason.AGENT_ENDED})
    return _begin(closing, "goodbye", phrases.SILENCE_GOODBYE, phase="closing")


def _caller_left(state: State, event: CallerLeft) -> Step:
    reason = state.end_reason or event.reason
    state, effects = _close_open(state, interrupted=True)
    return state.model_copy(update={"phase": "over", "end_reason": reason}), (*effects, HangUp(reason=reason))


def initial(configuration_version: int) -> State:
    return State(configuration_version=configuration_version)
