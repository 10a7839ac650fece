"""What is to be done about a room, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from call_orchestrator.watch.decisions import (
    DeleteRoom,
    Dispatch,
    End,
    Policy,
    RecordView,
    RoomView,
    Sight,
    decide,
    look,
)
from switchboard.contracts.calls import CallState, EndReason

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POLICY = Policy()
RINGING = RecordView(
    tenant_id=UUID(int=1),
    call_id=UUID(int=2),
    state=CallState.RINGING,
    epoch=0,
    lease_expires_at=None,
    answered=False,
    ended_at=None,
    ends_by=None,
)
LEG = RoomView(leg=True, agent=False)
BOTH = RoomView(leg=True, agent=True)
AGENT = RoomView(leg=False, agent=True)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


TALKING = replace(RINGING, state=CallState.TALKING, epoch=1, answered=True, lease_expires_at=at(15), ends_by=at(900))


def sight(*looks: tuple[RoomView | None, float]) -> Sight:
    seen = Sight()
    for view, seconds in looks:
        seen = look(seen, view, START, at(seconds))
    return seen


def test_an_agent_has_three_seconds_to_join() -> None:
    seen = sight((LEG, 0))
    assert decide(seen, LEG, RINGING, POLICY, at(0)).again_at == at(3)
    assert decide(seen, LEG, RINGING, POLICY, at(2.9)).actions == ()
    assert decide(seen, LEG, RINGING, POLICY, at(3)).actions == (Dispatch(1),)


def test_a_room_without_an_agent_is_offered_three_times_and_gone_after_twelve_seconds() -> None:
    seen, happened, now = Sight(), [], 0.0
    while now <= 20:
        seen = look(seen, LEG, START, at(now))
        plan = decide(seen, LEG, RINGING, POLICY, at(now))
        happened += [(now, action) for action in plan.actions]
        seen = plan.sight
        if DeleteRoom() in plan.actions:
            break
        assert plan.again_at is not None
        now = (plan.again_at - START).total_seconds()
    assert happened == [
        (3, Dispatch(1)),
        (6, Dispatch(2)),
        (9, Dispatch(3)),
        (12, DeleteRoom()),
        (12, End(EndReason.NO_AGENT, at(12))),
    ]


def test_a_time_that_passed_before_we_looked_counts() -> None:
    """After a restart of ours: the room is older than what we remember of it."""
    seen = look(Sight(), LEG, START, at(60))
    assert decide(seen, LEG, RINGING, POLICY, at(60)).actions == (Dispatch(1),)


ADMITTED = replace(TALKING, state=CallState.ADMITTED, answered=False, ends_by=None)


def lost(reason: EndReason, seconds: float) -> tuple[DeleteRoom, End]:
    return (DeleteRoom(), End(reason, at(seconds)))


def test_an_agent_that_leaves_before_the_answer_is_replaced_counting_from_when_it_left() -> None:
    seen = sight((BOTH, 0), (BOTH, 30), (LEG, 40))
    waiting = decide(seen, LEG, ADMITTED, POLICY, at(42.9))
    assert (waiting.actions, waiting.again_at) == ((), at(43))
    assert decide(seen, LEG, ADMITTED, POLICY, at(43)).actions == (Dispatch(1),)


def test_a_call_that_was_talked_to_ends_when_its_agent_stays_away() -> None:
    """Nobody else knows what was said in it. An agent that is back within three seconds was never away."""
    seen = sight((BOTH, 0), (BOTH, 30), (LEG, 40))
    assert decide(seen, LEG, TALKING, POLICY, at(42.9)).actions == ()
    assert decide(seen, LEG, TALKING, POLICY, at(43)).actions == lost(EndReason.AGENT_LOST, 43)
    back = look(seen, BOTH, START, at(42))
    assert decide(back, BOTH, TALKING, POLICY, at(43)).actions == ()


def test_a_call_that_nobody_can_be_found_for_was_lost_by_its_agent() -> None:
    seen = replace(sight((BOTH, 0), (LEG, 40)), attempts=3, attempted_at=at(49))
    assert decide(seen, LEG, ADMITTED, POLICY, at(52)).actions == lost(EndReason.AGENT_LOST, 52)


def test_an_agent_that_is_known_to_be_gone_is_not_waited_for_though_livekit_shows_it() -> None:
    gone = replace(sight((BOTH, 0), (BOTH, 40)), lost_epoch=1)
    assert decide(gone, BOTH, TALKING, POLICY, at(40)).actions == lost(EndReason.AGENT_LOST, 40)
    offered = decide(gone, BOTH, ADMITTED, POLICY, at(40))
    assert (offered.actions, offered.again_at) == ((Dispatch(1),), at(43))
    assert decide(offered.sight, BOTH, ADMITTED, POLICY, at(42)).actions == ()
    # Whoever has taken over since is not that job.
    assert decide(offered.sight, BOTH, replace(ADMITTED, epoch=2), POLICY, at(43)).actions == ()
    assert decide(gone, BOTH, None, POLICY, at(40)).actions == ()


def test_all_is_well_with_a_leg_and_an_agent() -> None:
    plan = decide(sight((BOTH, 5)), BOTH, TALKING, POLICY, at(5))
    assert (plan.actions, plan.again_at) == ((), at(35))


def test_a_job_that_does_not_notice_that_the_caller_left_is_given_a_moment() -> None:
    seen = sight((BOTH, 0), (AGENT, 20))
    assert decide(seen, AGENT, TALKING, POLICY, at(23.9)).actions == ()
    ended = (End(EndReason.CALLER_HUNG_UP, at(20)), DeleteRoom())
    assert decide(seen, AGENT, TALKING, POLICY, at(24)).actions == ended


def test_a_caller_who_left_before_the_answer_cancelled() -> None:
    seen = sight((LEG, 0), (RoomView(leg=False, agent=False), 1))
    plan = decide(seen, RoomView(leg=False, agent=False), RINGING, POLICY, at(5))
    assert plan.actions == (End(EndReason.CALLER_CANCELLED, at(1)), DeleteRoom())


@pytest.mark.parametrize(
    ("record", "left", "reason"),
    [
        (RINGING, True, EndReason.CALLER_CANCELLED),
        (RINGING, False, EndReason.CALLER_CANCELLED),
        (TALKING, True, EndReason.CALLER_HUNG_UP),
        (TALKING, False, EndReason.MEDIA_LOST),
    ],
)
def test_a_room_that_is_gone_closes_its_record(record: RecordView, left: bool, reason: EndReason) -> None:
    looks = [(BOTH, 0.0), *([(AGENT, 20.0)] if left else []), (None, 20.0)]
    seen = sight(*looks)
    assert decide(seen, None, record, POLICY, at(23)).actions == ()
    assert decide(seen, None, record, POLICY, at(40)).actions == (End(reason, at(20)),)
    assert decide(seen, None, record, POLICY, at(40)).again_at is None


def test_a_job_that_is_alive_may_say_itself_why_the_room_went() -> None:
    seen = sight((BOTH, 0), (None, 10))
    fresh = replace(TALKING, lease_expires_at=at(18))
    assert decide(seen, None, fresh, POLICY, at(15)).again_at == at(18)
    assert decide(seen, None, fresh, POLICY, at(18)).actions != ()


def test_after_an_outage_the_jobs_word_is_waited_for() -> None:
    """What jobs said while the records or the bus were away is still on its way when they are back."""
    seen = replace(sight((BOTH, 0), (None, 10)), blind_at=at(20))
    for record in (RINGING, TALKING):
        waiting = decide(seen, None, record, POLICY, at(29.9))
        assert (waiting.actions, waiting.again_at) == ((), at(30))
        assert decide(seen, None, record, POLICY, at(30)).actions != ()


def test_after_an_outage_a_room_without_its_caller_goes_and_its_record_stays_open_a_while() -> None:
    seen = replace(sight((BOTH, 0), (AGENT, 10)), blind_at=at(12))
    assert decide(seen, AGENT, TALKING, POLICY, at(14)).actions == (DeleteRoom(),)
    assert decide(seen, AGENT, TALKING, POLICY, at(22)).actions == (End(EndReason.CALLER_HUNG_UP, at(10)), DeleteRoom())


def test_the_reason_for_giving_up_outlives_the_room() -> None:
    """The record could not be written when the room was deleted: when it can, it says why."""
    seen = replace(sight((LEG, 0), (None, 13)), gave_up=True)
    assert decide(seen, None, RINGING, POLICY, at(13)).actions == (End(EndReason.NO_AGENT, at(13)),)


def test_a_room_that_is_gone_with_its_record_closed_is_forgotten() -> None:
    over = replace(TALKING, state=CallState.ENDED, ended_at=at(5))
    for record in (None, over):
        plan = decide(sight((None, 9)), None, record, POLICY, at(9))
        assert (plan.actions, plan.again_at) == ((), None)


def test_the_room_of_an_ended_call_does_not_stay() -> None:
    over = replace(TALKING, state=CallState.ENDED, ended_at=at(5))
    assert decide(sight((BOTH, 9)), BOTH, over, POLICY, at(9)).again_at == at(15)
    assert decide(sight((BOTH, 15)), BOTH, over, POLICY, at(15)).actions == (DeleteRoom(),)


def test_a_call_past_its_limit_is_cut_when_its_job_does_not() -> None:
    late = at(930)
    assert decide(sight((BOTH, 0)), BOTH, TALKING, POLICY, at(929)).actions == ()
    assert decide(sight((BOTH, 0)), BOTH, TALKING, POLICY, late).actions == (
        End(EndReason.TIME_LIMIT, late),
        DeleteRoom(),
    )


def test_a_room_without_a_caller_is_left_alone() -> None:
    """A browser's test room is no phone call."""
    for view in (RoomView(leg=False, agent=False), AGENT):
        assert decide(sight((view, 0)), view, None, POLICY, at(60)).actions == ()
