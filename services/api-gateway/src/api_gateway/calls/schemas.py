"""Public shapes about calls. Values of ``state``, ``end_reason``, ``outcome``, ``reason`` and ``kind`` may grow."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, Field
from switchboard.contracts.calls import Decision, TurnRecord

from api_gateway.schemas import FaultShape, Form, PhoneNumber, Shape


class CallShape(Shape):
    """A call in a line. ``turns`` counts exchanges; numbers are E.164 where the carrier gave them so."""

    call_id: UUID
    state: str
    caller: str | None
    dialled: str | None
    started_at: AwareDatetime
    answered_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    end_reason: str | None
    outcome: str | None
    configuration_version: int | None
    degraded: bool = Field(
        description="decided from the published configuration alone, while a part of the platform was away"
    )
    turns: int


class CallsShape(Shape):
    calls: tuple[CallShape, ...]
    next_cursor: str | None


class HypothesisShape(Shape):
    """One reading of what the caller said, best first; ``confidence`` 0..1."""

    text: str
    confidence: float


class PassageUsedShape(Shape):
    """A passage that was looked up for this turn; ``cited`` when the answer was taken from it."""

    passage_id: UUID
    document_id: UUID
    document_name: str
    heading: str
    text: str
    score: float
    cited: bool


class TimingsShape(Shape):
    """When each stage was reached; ``null`` for a stage that did not happen."""

    speech_started: AwareDatetime | None
    speech_ended: AwareDatetime | None
    end_of_turn: AwareDatetime | None
    transcript: AwareDatetime | None
    retrieval_started: AwareDatetime | None
    retrieval_ended: AwareDatetime | None
    first_token: AwareDatetime | None
    first_audio: AwareDatetime | None
    speech_stopped: AwareDatetime | None


class TurnShape(Shape):
    """One exchange. ``caller_heard`` is what the caller heard of ``agent_said`` before any interruption."""

    turn: int
    kind: str
    caller_said: tuple[HypothesisShape, ...]
    agent_said: str
    caller_heard: str
    interrupted: bool
    passages: tuple[PassageUsedShape, ...]
    timings: TimingsShape
    faults: tuple[FaultShape, ...]

    @classmethod
    def of_turn(cls, turn: TurnRecord) -> Self:
        fields = turn.model_dump()
        return cls.model_validate({**fields, "caller_heard": fields["agent_heard"]})


class CallRecordShape(Shape):
    call: CallShape
    turns: tuple[TurnShape, ...]


class EndingShape(Shape):
    """The call is being ended; its record at ``status_url`` says when it has."""

    call_id: UUID
    status_url: str


class PreviewForm(Form):
    number: PhoneNumber = Field(description="a number of yours", examples=["+34910000000"])


class PreviewShape(Shape):
    """What would happen if somebody called now, why, and what was looked at to decide it."""

    outcome: str
    reason: str
    evidence: dict[str, str | int | bool]
    say: str | None
    forward_to: str | None
    max_call_seconds: int | None
    configuration_version: int | None

    @classmethod
    def of_decision(cls, decision: Decision) -> Self:
        plan = decision.plan
        return cls(
            outcome=decision.outcome.value,
            reason=decision.reason.value,
            evidence=decision.evidence,
            say=(plan.say or None) if plan else None,
            forward_to=plan.forward_to if plan else None,
            max_call_seconds=plan.max_call_seconds if plan else None,
            configuration_version=plan.snapshot.version if plan else None,
        )
