"""The call machine over random events in random orders, repeated and lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from call_orchestrator.calls.machine import (
    RANK,
    Answered,
    Beat,
    Call,
    Claimed,
    Closed,
    Effect,
    Event,
    Found,
    Held,
    JobEnded,
    Opened,
    Refused,
    Resumed,
    Seen,
    Spoke,
    Step,
    Stopped,
    TransferStarted,
    Verdict,
    apply,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from switchboard.contracts.calls import CallState, EndReason

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def play(events: list[Event], call: Call | None = None) -> tuple[Call, list[Effect]]:
    call = call or Call()
    effects: list[Effect] = []
    for event in events:
        step = apply(call, event)
        call = step.call
        effects += step.effects
    return call, effects


def admitted(epochs: int = 1) -> Call:
    return play([Claimed(at(number), at(number + 15)) for number in range(epochs)])[0]


times = st.integers(0, 100).map(at)
epochs = st.integers(0, 4)
seqs = st.integers(1, 6)
reasons = st.sampled_from(EndReason)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Seen, times),
    st.builds(Claimed, times, times),
    st.builds(Refused, times, reasons),
    *(st.builds(kind, epochs, seqs, times) for kind in (Answered, Spoke, Held, Resumed, TransferStarted)),
    st.builds(JobEnded, epochs, seqs, times, reasons),
    st.builds(Beat, epochs, times, times),
    st.builds(Found, epochs, times, reasons),
    st.builds(Stopped, times),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(events, max_size=30))
def test_whatever_happens_ranks_only_rise_epochs_never_fall_and_the_end_is_one(happened: list[Event]) -> None:
    call = Call()
    closed: list[Closed] = []
    opened = 0
    for event in happened:
        step = apply(call, event)
        assert RANK[step.call.state] >= RANK[call.state]
        assert step.call.epoch >= call.epoch
        if call.over:
            assert (step.call.state, step.call.end_reason, step.call.ended_at) == (
                call.state,
                call.end_reason,
                call.ended_at,
            )
        closed += [effect for effect in step.effects if isinstance(effect, Closed)]
        opened += sum(isinstance(effect, Opened) for effect in step.effects)
        call = step.call
    assert len(closed) == int(call.over)
    assert opened <= 1
    assert (call.ended_at is None) == (call.end_reason is None) == (not call.over)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=20))
def test_an_event_that_comes_again_at_once_changes_nothing(happened: list[Event]) -> None:
    call = Call()
    for event in happened:
        first = apply(call, event)
        again = apply(first.call, event)
        # Claims are the one thing that is new each time: each gives the call to another job.
        if not isinstance(event, Claimed):
            assert again.call == first.call
            assert again.effects == ()
        call = first.call


@st.composite
def one_jobs_facts(draw: st.DrawFn) -> list[Event]:
    """What one job says of a call from answer to end, with holds and turns between, in order."""
    kinds: list[type[Spoke | Held | Resumed | TransferStarted]] = draw(
        st.lists(st.sampled_from([Spoke, Held, Resumed, TransferStarted]), max_size=8)
    )
    facts: list[Event] = [Answered(1, 1, at(1))]
    facts += [kind(1, number + 2, at(number + 2)) for number, kind in enumerate(kinds)]
    if draw(st.booleans()):
        facts.append(JobEnded(1, len(facts) + 1, at(50), draw(reasons)))
    return facts


@settings(max_examples=300, deadline=None)
@given(st.data(), one_jobs_facts())
def test_the_order_and_number_of_one_jobs_facts_make_no_difference(data: st.DataObject, facts: list[Event]) -> None:
    expected, _ = play(facts, admitted())
    repeated = facts + data.draw(st.lists(st.sampled_from(facts), max_size=8))
    shuffled = data.draw(st.permutations(repeated))
    got, effects = play(shuffled, admitted())
    assert got == expected
    assert sum(isinstance(effect, Closed) for effect in effects) == int(expected.over)


@settings(max_examples=300, deadline=None)
@given(st.data(), one_jobs_facts())
def test_lost_facts_lose_only_what_they_alone_say(data: st.DataObject, facts: list[Event]) -> None:
    """Whatever is lost, a call that was found over is over, once; and what is not lost is where it leads anyway."""
    kept = [fact for fact in facts if data.draw(st.booleans())]
    call, effects = play([*kept, Found(1, at(90), EndReason.MEDIA_LOST)], admitted())
    assert call.over
    assert sum(isinstance(effect, Closed) for effect in effects) == 1
    told = next((fact.reason for fact in kept if isinstance(fact, JobEnded)), EndReason.MEDIA_LOST)
    assert call.end_reason is told


@settings(max_examples=300, deadline=None)
@given(st.data(), one_jobs_facts())
def test_facts_from_before_a_takeover_count_the_same_before_and_after_it(
    data: st.DataObject, facts: list[Event]
) -> None:
    """A late fact of the first job is history: it says what was, and ends nothing."""
    history = [fact for fact in facts if not isinstance(fact, JobEnded)]
    takeover = Claimed(at(60), at(75))
    second: list[Event] = [Answered(2, 1, at(61)), Spoke(2, 2, at(62))]
    position = data.draw(st.integers(0, len(history)))
    early, late = history[:position], history[position:]
    expected, _ = play([*history, takeover, *second], admitted())
    got, _ = play([*early, takeover, *data.draw(st.permutations([*late, *second]))], admitted())
    assert got == expected


def test_a_whole_call() -> None:
    call, effects = play(
        [
            Seen(at(0)),
            Claimed(at(1), at(16)),
            Answered(1, 1, at(2)),
            Spoke(1, 2, at(4)),
            Held(1, 3, at(5)),
            Resumed(1, 4, at(6)),
            Beat(1, at(6), at(21)),
            JobEnded(1, 5, at(12), EndReason.CALLER_HUNG_UP),
        ]
    )
    assert (call.state, call.end_reason, call.seconds) == (CallState.ENDED, EndReason.CALLER_HUNG_UP, 10.0)
    assert effects == [Opened(), Closed(EndReason.CALLER_HUNG_UP, 10.0)]


@pytest.mark.parametrize("kind", [Answered, Spoke, Held, Resumed, TransferStarted])
def test_a_job_that_lost_the_call_is_refused(kind: type[Answered]) -> None:
    """Written after the takeover with the epoch before it: nothing of it counts."""
    call = admitted(epochs=2)
    step = apply(call, kind(1, 9, at(30)))
    assert step == Step(call, Verdict.STALE)


def test_a_job_that_lost_the_call_can_not_end_it() -> None:
    call = admitted(epochs=2)
    before_takeover = apply(call, JobEnded(1, 9, at(0.5), EndReason.AGENT_FAILED))
    after_takeover = apply(call, JobEnded(1, 9, at(30), EndReason.AGENT_FAILED))
    assert (before_takeover.verdict, before_takeover.call.over) == (Verdict.HISTORY, False)
    assert (after_takeover.verdict, after_takeover.call.over) == (Verdict.STALE, False)


def test_a_lease_is_renewed_by_its_holder_only() -> None:
    call = admitted(epochs=2)
    assert apply(call, Beat(1, at(20), at(90))).verdict is Verdict.STALE
    renewed = apply(call, Beat(2, at(20), at(35)))
    assert renewed.call.lease_expires_at == at(35)
    assert apply(renewed.call, Beat(2, at(10), at(25))).call.lease_expires_at == at(35)


def test_an_ended_call_is_not_claimed_again() -> None:
    ended = play([Stopped(at(5))], admitted())[0]
    assert apply(ended, Claimed(at(6), at(21))) == Step(ended, Verdict.OVER)
    assert apply(ended, Beat(1, at(6), at(21))).verdict is Verdict.OVER


def test_the_reaper_is_fenced() -> None:
    """It looked at epoch 1; by the time it writes, epoch 2 has the call."""
    call = admitted(epochs=2)
    assert apply(call, Found(1, at(30), EndReason.AGENT_LOST)) == Step(call, Verdict.STALE)


def test_a_call_decided_about_without_the_database_is_told_by_its_facts() -> None:
    epoch = int(START.timestamp())
    call, effects = play(
        [Spoke(epoch, 2, at(3)), Answered(epoch, 1, at(1)), JobEnded(epoch, 3, at(9), EndReason.AGENT_ENDED)]
    )
    assert (call.epoch, call.answered_at, call.over) == (epoch, at(1), True)
    assert effects == [Opened(), Closed(EndReason.AGENT_ENDED, 8.0)]


def test_a_late_answer_corrects_the_length_of_an_ended_call() -> None:
    call, _ = play([JobEnded(1, 3, at(9), EndReason.AGENT_ENDED), Answered(1, 1, at(2))], admitted())
    assert (call.end_reason, call.seconds) == (EndReason.AGENT_ENDED, 7.0)


def test_a_refused_call_is_opened_and_closed() -> None:
    call, effects = play([Refused(at(0), EndReason.OUTSIDE_HOURS), Refused(at(1), EndReason.OVER_CAPACITY)])
    assert (call.end_reason, call.epoch) == (EndReason.OUTSIDE_HOURS, 0)
    assert effects == [Opened(), Closed(EndReason.OUTSIDE_HOURS, 0.0)]
