"""The life of a call as a pure machine: state + event -> state + effects.

::

    ringing -> admitted -> talking <-> holding -> transferring -> ended(reason)

Events come from sources that know nothing of each other's order: admission, the job's facts, LiveKit as it was asked,
heartbeats, the reaper, operators. What holds whatever their order, repetition or loss:

* ranks only rise; talking and holding have one rank and are ordered by the ``(epoch, seq)`` of the fact that says so;
* ``ended`` absorbs: state, reason and time of the first end stay, and :class:`Closed` is emitted once;
* epochs never fall. An event of an older epoch that happened before the takeover is history: it is evidence, but can't
  end the call. One that happened after it comes from a job that lost the call, and is refused;
* an event that repeats changes nothing.

Evidence (when was the call answered, which epoch has been seen) is taken even after the end, because a late fact is
still true; it moves neither state nor reason.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from switchboard.contracts.calls import CallState, EndReason

RANK: Final[dict[CallState, int]] = {
    CallState.RINGING: 0,
    CallState.ADMITTED: 1,
    CallState.TALKING: 2,
    CallState.HOLDING: 2,
    CallState.TRANSFERRING: 3,
    CallState.ENDED: 4,
}


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a call. ``position`` is the latest fact that chose between talking and holding."""

    state: CallState = CallState.RINGING
    epoch: int = 0
    claimed_at: datetime | None = None
    position: tuple[int, int] = (0, 0)
    lease_expires_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None

    @property
    def over(self) -> bool:
        return self.state is CallState.ENDED

    @property
    def seconds(self) -> float:
        """How long both sides could talk; 0 while the call lasts and for one that was never answered."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return max(0.0, (self.ended_at - self.answered_at).total_seconds())


# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """LiveKit shows the room and its SIP leg."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """Admission let the call in, or gave it to another job: a new epoch begins."""

    at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """Admission did not let the call in."""

    at: datetime
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Answered:
    """The job: the leg is active, the agent is in."""

    epoch: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Spoke:
    """The job recorded a turn or saved its conversation: it must be talking, even if ``answered`` got lost."""

    epoch: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    epoch: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Resumed:
    epoch: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TransferStarted:
    epoch: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The job's word that the call is over."""

    epoch: int
    seq: int
    at: datetime
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Beat:
    """The job lives; its lease runs until ``lease_until``."""

    epoch: int
    at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """The reaper asked LiveKit and found the call over. Fenced: void when somebody took over since it looked."""

    epoch: int
    at: datetime
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Stopped:
    """An operator or the tenant's user ended it, and the room is gone."""

    at: datetime
    reason: EndReason = EndReason.OPERATOR_ENDED


JobFact: TypeAlias = Answered | Spoke | Held | Resumed | TransferStarted | JobEnded
Event: TypeAlias = Seen | Claimed | Refused | JobFact | Beat | Found | Stopped


# -- effects and result ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """Tell the fleet that the call exists."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Tell the fleet that the terminal record exists."""

    reason: EndReason
    seconds: float


Effect: TypeAlias = Opened | Closed


class Verdict(enum.StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    NOTHING_NEW = "nothing_new"
    HISTORY = "history"
    STALE = "stale"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Step:
    """``verdict`` STALE and OVER mean that the sender is to be told no; the rest is fine by it."""

    call: Call
    verdict: Verdict
    effects: tuple[Effect, ...] = ()


def apply(call: Call, event: Event) -> Step:
    """One event. Total: every event has an answer in every state."""
    match event:
        case Seen():
            return Step(call, Verdict.OVER if call.over else Verdict.NOTHING_NEW)
        case Claimed():
            return _claimed(call, event)
        case Refused():
            return _ended(call, event.at, event.reason, opens=True)
        case Beat():
            return _beat(call, event)
        case Found():
            if event.epoch != call.epoch:
                return Step(call, Verdict.STALE)
            return _ended(call, event.at, event.reason)
        case Stopped():
            return _ended(call, event.at, event.reason)
        case _:
            return _fact(call, event)


def _claimed(call: Call, event: Claimed) -> Step:
    if call.over:
        return Step(call, Verdict.OVER)
    first = call.state is CallState.RINGING
    state = CallState.ADMITTED if first else call.state
    claimed = replace(call, state=state, epoch=call.epoch + 1, claimed_at=event.at, lease_expires_at=event.lease_until)
    return Step(claimed, Verdict.APPLIED, (Opened(),) if first else ())


def _beat(call: Call, event: Beat) -> Step:
    if call.over:
        return Step(call, Verdict.OVER)
    if event.epoch < call.epoch:
        return Step(call, Verdict.STALE)
    seen, effects = _adopt(call, event.epoch, event.at)
    lease = seen.lease_expires_at
    renewed = replace(seen, lease_expires_at=event.lease_until if lease is None else max(lease, event.lease_until))
    return _step(call, renewed, effects)


def _fact(call: Call, event: JobFact) -> Step:
    history = event.epoch < call.epoch
    if history and (call.claimed_at is None or event.at >= call.claimed_at):
        return Step(call, Verdict.STALE)
    seen, effects = _adopt(call, event.epoch, event.at)
    moved = _moved(seen, event)
    if isinstance(event, JobEnded) and not history:
        if not moved.over:
            end = _ended(moved, event.at, event.reason)
            return Step(end.call, end.verdict, effects + end.effects)
    elif history:
        return Step(moved, Verdict.HISTORY, effects)
    return _step(call, moved, effects)


def _step(before: Call, after: Call, effects: tuple[Effect, ...]) -> Step:
    if after == before:
        return Step(before, Verdict.NOTHING_NEW)
    return Step(after, Verdict.APPLIED, effects)


def _adopt(call: Call, epoch: int, at: datetime) -> tuple[Call, tuple[Effect, ...]]:
    """Whoever writes with an epoch was admitted with it, if only while the database was away."""
    if epoch > call.epoch:
        call = replace(call, epoch=epoch, claimed_at=at)
    elif epoch == call.epoch and (call.claimed_at is None or at < call.claimed_at):
        call = replace(call, claimed_at=at)
    if call.state is CallState.RINGING:
        return replace(call, state=CallState.ADMITTED), (Opened(),)
    return call, ()


def _moved(call: Call, event: JobFact) -> Call:
    """Evidence, and the state that it shows, as far as ranks allow."""
    position = (event.epoch, event.seq)
    if isinstance(event, Answered | Spoke | Held | Resumed | TransferStarted):
        call = replace(call, answered_at=min(call.answered_at or event.at, event.at))
    target = _TARGETS.get(type(event))
    if target is not None and not (isinstance(event, Spoke) and RANK[call.state] >= RANK[target]):
        later = position > call.position
        if RANK[target] > RANK[call.state] or (RANK[target] == RANK[call.state] and later):
            call = replace(call, state=target)
        if later and not isinstance(event, Spoke):
            call = replace(call, position=position)
    return call


_TARGETS: Final[dict[type, CallState]] = {
    Answered: CallState.TALKING,
    Spoke: CallState.TALKING,
    Held: CallState.HOLDING,
    Resumed: CallState.TALKING,
    TransferStarted: CallState.TRANSFERRING,
}


def _ended(call: Call, at: datetime, reason: EndReason, *, opens: bool = False) -> Step:
    if call.over:
        return Step(call, Verdict.NOTHING_NEW)
    opened: tuple[Effect, ...] = (Opened(),) if opens and call.state is CallState.RINGING else ()
    ended = replace(call, state=CallState.ENDED, ended_at=at, end_reason=reason, lease_expires_at=None)
    return Step(ended, Verdict.APPLIED, (*opened, Closed(reason, ended.seconds)))
