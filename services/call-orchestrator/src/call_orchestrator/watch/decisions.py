"""What is to be done about one room, as a pure function of what is seen, remembered and recorded.

LiveKit offers a new room to an agent once; nobody repeats it. And nobody but us knows that a call whose room, caller or
agent is gone has a record that must still be closed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from switchboard.contracts.calls import CallState, EndReason


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the watch is.

    ``join_within``: an agent's time to join before the room is offered again, at most ``attempts`` times, so a caller without
    an agent hears the end after ``join_within * (attempts + 1)``. ``grace``: a job's time to say itself why a call ended.
    ``linger``: how long the room of an ended call may stay. ``recheck``: how often a room where all is well is looked at.
    ``overtime``: how far past its limit a call may go before it is cut, as its job should have ended it.
    ``catch_up``: how long after an outage jobs' facts may still be on the way to the records.
    """

    join_within: timedelta = timedelta(seconds=3)
    attempts: int = 3
    grace: timedelta = timedelta(seconds=4)
    linger: timedelta = timedelta(seconds=10)
    recheck: timedelta = timedelta(seconds=30)
    overtime: timedelta = timedelta(seconds=30)
    catch_up: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RoomView:
    """Who is in the room: the caller's leg, an agent."""

    leg: bool
    agent: bool


@dataclass(frozen=True, slots=True)
class RecordView:
    """What the record says. ``ends_by``: when the call's time is up, once it was answered."""

    tenant_id: UUID
    call_id: UUID
    state: CallState
    epoch: int
    lease_expires_at: datetime | None
    answered: bool
    ended_at: datetime | None
    ends_by: datetime | None

    @property
    def over(self) -> bool:
        return self.state is CallState.ENDED


@dataclass(frozen=True, slots=True)
class Sight:
    """What is remembered of a room from one look to the next. ``lost_epoch``: of the latest job that is known to be gone,
    whatever LiveKit still shows of it."""

    leg_seen: bool = False
    leg_left: bool = False
    no_leg_since: datetime | None = None
    agent_seen: bool = False
    no_agent_since: datetime | None = None
    attempts: int = 0
    attempted_at: datetime | None = None
    gave_up: bool = False
    blind_at: datetime | None = None
    """When the records or the bus were last away: what jobs said then is not in the records yet."""
    lost_epoch: int = 0

    def lost_job_of(self, record: RecordView | None) -> bool:
        return record is not None and record.epoch > 0 and record.epoch == self.lost_epoch


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Offer the room to the agents again, for the ``attempt``-th time."""

    attempt: int


@dataclass(frozen=True, slots=True)
class DeleteRoom:
    """Cut the caller off: before the answer that is a 486, after it a BYE."""


@dataclass(frozen=True, slots=True)
class End:
    """Close the record; ``at`` is when the call was over, as far as was seen."""

    reason: EndReason
    at: datetime


Action: TypeAlias = Dispatch | DeleteRoom | End


@dataclass(frozen=True, slots=True)
class Plan:
    """``again_at``: when to look next; None: this room is done with."""

    sight: Sight
    actions: tuple[Action, ...]
    again_at: datetime | None


def look(sight: Sight, view: RoomView | None, created_at: datetime, now: datetime) -> Sight:
    """``sight`` after one more look. A room's time without its first agent begins with the room."""
    leg = view is not None and view.leg
    agent = view is not None and view.agent
    began = min(created_at, now)
    late = sight.agent_seen or sight.no_leg_since is not None
    return replace(
        sight,
        leg_seen=sight.leg_seen or leg,
        # A leg that came back never left.
        leg_left=not leg and (sight.leg_left or (sight.leg_seen and view is not None)),
        no_leg_since=None if leg else sight.no_leg_since or now,
        agent_seen=sight.agent_seen or agent,
        no_agent_since=None if agent else sight.no_agent_since or (now if late else began),
    )


def decide(sight: Sight, view: RoomView | None, record: RecordView | None, policy: Policy, now: datetime) -> Plan:
    """``sight`` has had this ``view`` (None: the room is gone) by :func:`look`."""
    if view is None:
        return _gone(sight, record, policy, now)
    if record is not None and record.over:
        return _over(sight, record, policy, now)
    if not view.leg:
        return _without_leg(sight, record, policy, now)
    if view.agent and not sight.lost_job_of(record):
        return _complete(sight, record, policy, now)
    return _without_agent(sight, record, policy, now)


def _gone(sight: Sight, record: RecordView | None, policy: Policy, now: datetime) -> Plan:
    if record is None or record.over:
        return Plan(sight, (), None)
    since = sight.no_leg_since or now
    deadline = since + policy.grace
    if record.lease_expires_at is not None:
        # Its job was alive a moment ago and knows better; its word may be on the way.
        deadline = max(deadline, min(record.lease_expires_at, since + policy.linger))
    deadline = max(deadline, caught_up_at(sight, policy) or deadline)
    if now < deadline and not sight.gave_up:
        return Plan(sight, (), deadline)
    return Plan(sight, (End(_why_gone(sight, record), since),), None)


def caught_up_at(sight: Sight, policy: Policy) -> datetime | None:
    """When the records will tell what jobs said during the last outage; None: there was none."""
    return None if sight.blind_at is None else sight.blind_at + policy.catch_up


def _why_gone(sight: Sight, record: RecordView) -> EndReason:
    if sight.gave_up:
        return _why_gave_up(record)
    if not record.answered:
        return EndReason.CALLER_CANCELLED
    return EndReason.CALLER_HUNG_UP if sight.leg_left else EndReason.MEDIA_LOST


def _why_gave_up(record: RecordView) -> EndReason:
    return EndReason.NO_AGENT if record.epoch == 0 else EndReason.AGENT_LOST


def _over(sight: Sight, record: RecordView, policy: Policy, now: datetime) -> Plan:
    deadline = (record.ended_at or now) + policy.linger
    if now < deadline:
        return Plan(sight, (), deadline)
    return Plan(sight, (DeleteRoom(),), now + policy.grace)


def _without_leg(sight: Sight, record: RecordView | None, policy: Policy, now: datetime) -> Plan:
    if record is None and not sight.leg_seen:
        return Plan(sight, (), now + policy.join_within)  # not a phone call, or not yet
    since = sight.no_leg_since or now
    deadline = since + policy.grace
    if now < deadline:
        return Plan(sight, (), deadline)
    answered = record is not None and record.answered
    reason = EndReason.CALLER_HUNG_UP if answered else EndReason.CALLER_CANCELLED
    caught_up = caught_up_at(sight, policy)
    # A room that is gone is looked at again, so its record is closed then.
    told = caught_up is None or now >= caught_up
    ends: tuple[Action, ...] = (End(reason, since),) if record is not None and told else ()
    return Plan(sight, (*ends, DeleteRoom()), now + policy.grace)


def _complete(sight: Sight, record: RecordView | None, policy: Policy, now: datetime) -> Plan:
    if record is not None and record.ends_by is not None:
        cut_at = record.ends_by + policy.overtime
        if now >= cut_at:
            return Plan(sight, (End(EndReason.TIME_LIMIT, now), DeleteRoom()), now + policy.grace)
        return Plan(sight, (), min(cut_at, now + policy.recheck))
    return Plan(sight, (), now + policy.recheck)


def _without_agent(sight: Sight, record: RecordView | None, policy: Policy, now: datetime) -> Plan:
    due = _agent_due(sight, record, policy, now)
    if now < due:
        return Plan(sight, (), due)
    if record is not None and record.answered:
        # Another agent would know nothing of what was said and greet the caller anew.
        return _give_up(sight, EndReason.AGENT_LOST, policy, now)
    if sight.attempts < policy.attempts:
        tried = replace(sight, attempts=sight.attempts + 1, attempted_at=now)
        return Plan(tried, (Dispatch(tried.attempts),), now + policy.join_within)
    # Whoever opens no record until the end still gets one: the driver opens it from what it saw of the leg.
    return _give_up(sight, EndReason.NO_AGENT if record is None else _why_gave_up(record), policy, now)


def _agent_due(sight: Sight, record: RecordView | None, policy: Policy, now: datetime) -> datetime:
    """Until when an agent is waited for; a job that is known to be gone has had its time."""
    if sight.lost_job_of(record):
        return now if sight.attempted_at is None else sight.attempted_at + policy.join_within
    due = max(filter(None, (sight.no_agent_since, sight.attempted_at)), default=now) + policy.join_within
    if record is not None and record.answered and record.lease_expires_at is not None:
        # Its job lives: it has lost its way into the room and may be coming back. It ends the call itself when it can't.
        due = max(due, record.lease_expires_at)
    return due


def _give_up(sight: Sight, reason: EndReason, policy: Policy, now: datetime) -> Plan:
    return Plan(replace(sight, gave_up=True), (DeleteRoom(), End(reason, now)), now + policy.grace)
