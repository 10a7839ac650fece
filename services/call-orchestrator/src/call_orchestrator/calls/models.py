"""Rows of a call's record as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.contracts.calls import AdmitRequest, CallState, DecidedAlone, Decision, DecisionReason, Outcome

from call_orchestrator.calls.machine import Call


@dataclass(frozen=True, slots=True)
class CallDetails:
    """What is known of a call besides its life: where it came from, and what was decided. All may still be unknown."""

    room_sid: str | None = None
    room_name: str | None = None
    sip_call_id: str | None = None
    trunk: str | None = None
    carrier_account: str | None = None
    dialled: str | None = None
    caller: str | None = None
    job_id: str | None = None
    media_cell: str | None = None
    decision: StoredDecision | None = None

    @classmethod
    def of(cls, request: AdmitRequest, decision: StoredDecision) -> CallDetails:
        """What a job says of its call, with what was decided."""
        sip = request.sip
        return cls(
            room_sid=request.room_sid,
            room_name=str(request.room_name),
            sip_call_id=sip.sip_call_id,
            trunk=sip.trunk,
            carrier_account=sip.carrier_account,
            dialled=str(sip.dialled),
            caller=None if sip.caller is None else str(sip.caller),
            job_id=request.job_id,
            media_cell=request.media_cell,
            decision=decision,
        )


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision without its snapshot: which version it was made from says enough."""

    outcome: Outcome
    reason: DecisionReason
    evidence: dict[str, str | int | bool]
    say: str = ""
    forward_to: str | None = None
    max_call_seconds: int = 0
    configuration_version: int | None = None

    @classmethod
    def of(cls, decision: Decision) -> StoredDecision:
        """What of a decision is kept."""
        plan = decision.plan
        return cls(
            outcome=decision.outcome,
            reason=decision.reason,
            evidence=decision.evidence,
            say="" if plan is None else plan.say,
            forward_to=None if plan is None else plan.forward_to,
            max_call_seconds=0 if plan is None else plan.max_call_seconds,
            configuration_version=None if plan is None else plan.snapshot.version,
        )

    @classmethod
    def of_job(cls, alone: DecidedAlone) -> StoredDecision:
        """A decision that a job took by itself."""
        return cls(
            outcome=alone.outcome,
            reason=alone.reason,
            evidence=alone.evidence,
            say=alone.say,
            forward_to=alone.forward_to,
            max_call_seconds=alone.max_call_seconds,
            configuration_version=alone.configuration_version,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome.value,
            "reason": self.reason.value,
            "evidence": self.evidence,
            "say": self.say,
            "forward_to": self.forward_to,
            "max_call_seconds": self.max_call_seconds,
            "configuration_version": self.configuration_version,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> StoredDecision:
        return cls(
            outcome=Outcome(value["outcome"]),
            reason=DecisionReason(value["reason"]),
            evidence=value["evidence"],
            say=value["say"],
            forward_to=value["forward_to"],
            max_call_seconds=value["max_call_seconds"],
            configuration_version=value["configuration_version"],
        )


@dataclass(frozen=True, slots=True)
class CallRow:
    """One row of ``calls.calls``; ``life`` is the machine's part of it."""

    tenant_id: UUID
    id: UUID
    life: Call
    details: CallDetails
    configuration_version: int | None
    degraded: bool
    started_at: datetime
    events: int
    turns: int


@dataclass(frozen=True, slots=True)
class LiveCall:
    """What the sweep knows of a call that is not over."""

    tenant_id: UUID
    id: UUID
    room_sid: str | None
    state: CallState
    epoch: int
    lease_expires_at: datetime | None
    started_at: datetime
    answered_at: datetime | None
    max_seconds: int | None


@dataclass(frozen=True, slots=True)
class UnmatchedCall:
    """A call that belongs to no tenant; for operators only."""

    id: UUID
    room_sid: str
    sip_call_id: str
    trunk: str | None
    carrier_account: str | None
    dialled: str
    caller: str | None
    reason: str
    attempts: int
    first_at: datetime
    last_at: datetime
