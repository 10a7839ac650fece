"""What happens with a call: a pure function of the snapshot, the clock and the number of live calls.

Asked by the orchestrator for real calls, by the job itself when the bus is gone, and by "what if somebody called now".
"""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from switchboard.contracts.calls import CallPlan, Decision, DecisionReason, EndReason, Outcome
from switchboard.contracts.snapshot import WEEKDAYS, TenantSnapshot, TenantStatus
from switchboard.snapshot import NumberMatch

BUSY_NOTICE = "All our lines are busy right now. Please call again in a few minutes."
PAUSED_NOTICE = "This line is closed for the moment. Please try again later."

_REASON_OF_STATUS = {
    TenantStatus.DRAFT: DecisionReason.TENANT_NOT_LIVE,
    TenantStatus.PAUSED: DecisionReason.TENANT_PAUSED,
    TenantStatus.SUSPENDED: DecisionReason.TENANT_SUSPENDED,
}

END_REASON: dict[DecisionReason, EndReason] = {
    DecisionReason.UNKNOWN_NUMBER: EndReason.UNKNOWN_NUMBER,
    DecisionReason.WRONG_TRUNK: EndReason.WRONG_TRUNK,
    DecisionReason.TENANT_NOT_LIVE: EndReason.TENANT_NOT_LIVE,
    DecisionReason.TENANT_PAUSED: EndReason.TENANT_NOT_LIVE,
    DecisionReason.TENANT_SUSPENDED: EndReason.TENANT_SUSPENDED,
    DecisionReason.OVER_CAPACITY: EndReason.OVER_CAPACITY,
    DecisionReason.OUTSIDE_HOURS: EndReason.OUTSIDE_HOURS,
    DecisionReason.OPEN: EndReason.AGENT_ENDED,
}
"""The end reason of a call that was not talked to because of a decision's reason."""


def decide(match: NumberMatch, now: datetime, live_calls: int) -> Decision:
    """``live_calls`` are the tenant's other calls that are not over; ``now`` is aware.

    An unknown number and one on a foreign trunk are refused (the carrier hears 486); a tenant that went live once and can't
    take the call now is represented by a short notice, as a caller should not hear a dead line.
    """
    snapshot = match.snapshot
    if snapshot is None:
        reason = DecisionReason.WRONG_TRUNK if match.known else DecisionReason.UNKNOWN_NUMBER
        return Decision(outcome=Outcome.REFUSE, reason=reason)
    evidence: dict[str, str | int | bool] = {
        "version": snapshot.version,
        "status": snapshot.status.value,
        "live_calls": live_calls,
        "max_concurrent_calls": snapshot.agent.max_concurrent_calls,
    }
    if snapshot.status is not TenantStatus.LIVE:
        return _not_live(snapshot, evidence)
    if live_calls >= snapshot.agent.max_concurrent_calls:
        return _overflow(snapshot, evidence)
    is_open = open_now(snapshot, now)
    evidence["open"] = is_open
    if is_open or snapshot.agent.outside_hours == "talk":
        return _decision(snapshot, Outcome.TALK, DecisionReason.OPEN, evidence)
    if snapshot.agent.outside_hours == "take_message":
        return _decision(snapshot, Outcome.TAKE_MESSAGE, DecisionReason.OUTSIDE_HOURS, evidence)
    return _decision(snapshot, Outcome.REFUSE, DecisionReason.OUTSIDE_HOURS, evidence)


def _not_live(snapshot: TenantSnapshot, evidence: dict[str, str | int | bool]) -> Decision:
    reason = _REASON_OF_STATUS[snapshot.status]
    if snapshot.status is TenantStatus.DRAFT:
        return _decision(snapshot, Outcome.REFUSE, reason, evidence)
    return _decision(snapshot, Outcome.NOTICE, reason, evidence, say=PAUSED_NOTICE)


def _overflow(snapshot: TenantSnapshot, evidence: dict[str, str | int | bool]) -> Decision:
    return _decision(snapshot, Outcome.NOTICE, DecisionReason.OVER_CAPACITY, evidence, say=BUSY_NOTICE)


def _decision(
    snapshot: TenantSnapshot,
    outcome: Outcome,
    reason: DecisionReason,
    evidence: dict[str, str | int | bool],
    say: str = "",
) -> Decision:
    plan = CallPlan(
        snapshot=snapshot,
        say=say,
        forward_to=snapshot.agent.forward_to if outcome is Outcome.FORWARD else None,
        max_call_seconds=snapshot.agent.max_call_seconds,
    )
    return Decision(outcome=outcome, reason=reason, evidence=evidence, tenant_id=snapshot.tenant_id, plan=plan)


def open_now(snapshot: TenantSnapshot, now: datetime) -> bool:
    """Whether any location is open at ``now``, by the tenant's wall clock; a holiday replaces the day's usual hours."""
    local = now.astimezone(ZoneInfo(snapshot.time_zone))
    clock = local.time().replace(tzinfo=None)
    for holiday in snapshot.holidays:
        if holiday.day == local.date():
            return _within(holiday.opens, holiday.closes, clock)
    day = WEEKDAYS[local.weekday()]
    return any(
        _within(opening.opens, opening.closes, clock)
        for location in snapshot.locations
        for opening in location.hours
        if opening.day == day
    )


def _within(opens: time | None, closes: time | None, clock: time) -> bool:
    return opens is not None and closes is not None and opens <= clock < closes
