"""Calls: admission, the facts a live call leaves, commands to its job, and questions about records."""

from __future__ import annotations

import enum
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard.contracts.base import CallFact, Command, Contract, Empty, Live, Page, Rpc, Service, services
from switchboard.contracts.providers import ProviderFault
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.sealed import Sealed

_AGENT = services(Service.VOICE_AGENT)
_ORCHESTRATOR = services(Service.CALL_ORCHESTRATOR)
_GATEWAY = services(Service.API_GATEWAY)


class CallState(enum.StrEnum):
    """``ringing -> admitted -> talking <-> holding -> transferring -> ended``; the machine is the orchestrator's."""

    RINGING = "ringing"
    ADMITTED = "admitted"
    TALKING = "talking"
    HOLDING = "holding"
    TRANSFERRING = "transferring"
    ENDED = "ended"


class EndReason(enum.StrEnum):
    """Why a call is over. The first source that says so decides."""

    CALLER_HUNG_UP = "caller_hung_up"
    CALLER_CANCELLED = "caller_cancelled"
    AGENT_ENDED = "agent_ended"
    OPERATOR_ENDED = "operator_ended"
    TRANSFERRED = "transferred"
    TIME_LIMIT = "time_limit"
    UNKNOWN_NUMBER = "unknown_number"
    WRONG_TRUNK = "wrong_trunk"
    TENANT_NOT_LIVE = "tenant_not_live"
    TENANT_SUSPENDED = "tenant_suspended"
    OUTSIDE_HOURS = "outside_hours"
    OVER_CAPACITY = "over_capacity"
    NO_AGENT = "no_agent"
    AGENT_FAILED = "agent_failed"
    AGENT_LOST = "agent_lost"
    MEDIA_LOST = "media_lost"


class SipFacts(Contract):
    """What LiveKit says of a SIP leg. ``trunk`` is our name for it, an attribute that the rule sets."""

    sip_call_id: str = Field(max_length=200)
    trunk: str | None = Field(default=None, max_length=64)
    carrier_account: str | None = Field(default=None, max_length=64)
    dialled: Sealed
    caller: Sealed | None = None


class Outcome(enum.StrEnum):
    TALK = "talk"
    FORWARD = "forward"
    TAKE_MESSAGE = "take_message"
    NOTICE = "notice"
    REFUSE = "refuse"


class DecisionReason(enum.StrEnum):
    OPEN = "open"
    OUTSIDE_HOURS = "outside_hours"
    UNKNOWN_NUMBER = "unknown_number"
    WRONG_TRUNK = "wrong_trunk"
    TENANT_NOT_LIVE = "tenant_not_live"
    TENANT_PAUSED = "tenant_paused"
    TENANT_SUSPENDED = "tenant_suspended"
    OVER_CAPACITY = "over_capacity"


class CallPlan(Contract):
    """What the agent is to do with an admitted call. ``say`` is the notice of outcome ``notice``."""

    snapshot: TenantSnapshot
    say: str = ""
    forward_to: str | None = None
    max_call_seconds: int = Field(ge=1)


class Decision(Contract):
    """The answer of admission: what happens, why, and what was looked at. A pure function of its evidence."""

    outcome: Outcome
    reason: DecisionReason
    evidence: dict[str, str | int | bool] = Field(default_factory=dict)
    tenant_id: UUID | None = None
    plan: CallPlan | None = None


class AdmitRequest(Contract):
    room_sid: str = Field(min_length=1, max_length=64)
    room_name: Sealed
    sip: SipFacts
    job_id: str = Field(max_length=64)
    media_cell: str = "default"
    at: AwareDatetime


class AdmitReply(Contract):
    """``epoch`` is what the job writes with from now on."""

    call_id: UUID
    epoch: int = Field(ge=1)
    decision: Decision
    degraded: bool = False


ADMIT = Rpc("calls", "admit", AdmitRequest, AdmitReply, Service.CALL_ORCHESTRATOR, _AGENT, deadline=2.0)


class Heartbeat(Contract):
    call_id: UUID
    epoch: int
    room_sid: str


class HeartbeatReply(Contract):
    lease_seconds: float


HEARTBEAT = Rpc("calls", "heartbeat", Heartbeat, HeartbeatReply, Service.CALL_ORCHESTRATOR, _AGENT, deadline=2.0)


# -- facts of the job that owns the call -----------------------------------------------------------------------------


class DecidedAlone(Contract):
    """What admission would have recorded of a decision that was taken without it, or that it could not record."""

    request: AdmitRequest
    outcome: Outcome
    reason: DecisionReason
    evidence: dict[str, str | int | bool] = Field(default_factory=dict)
    say: str = ""
    forward_to: str | None = None
    max_call_seconds: int = 0
    configuration_version: int | None = None


class CallAnswered(CallFact):
    """The SIP leg is active and the agent is in. Carries enough to write the record if admission could not."""

    fact: ClassVar[str] = "answered"
    publishers: ClassVar[frozenset[Service]] = _AGENT
    consumers: ClassVar[frozenset[Service]] = _ORCHESTRATOR

    room_sid: str
    configuration_version: int
    degraded: bool = False
    alone: DecidedAlone | None = None


class Hypothesis(Contract):
    text: Sealed
    confidence: float = Field(ge=0, le=1)


class PassageUsed(Contract):
    """A passage that retrieval returned for this turn; ``cited`` when the answer was taken from it."""

    passage_id: UUID
    document_id: UUID
    document_name: Sealed
    heading: Sealed
    text: Sealed
    score: float
    cited: bool = False


class TurnTimings(Contract):
    """When each stage was reached, by the agent's wall clock. A stage that did not happen is ``None``."""

    speech_started: AwareDatetime | None = None
    speech_ended: AwareDatetime | None = None
    end_of_turn: AwareDatetime | None = None
    transcript: AwareDatetime | None = None
    retrieval_started: AwareDatetime | None = None
    retrieval_ended: AwareDatetime | None = None
    first_token: AwareDatetime | None = None
    first_audio: AwareDatetime | None = None
    speech_stopped: AwareDatetime | None = None


class ToolReceipt(Contract):
    """Proof that a tool really did something; nothing is said to be done without one."""

    tool: str
    receipt_id: str
    ok: bool


TurnKind = Literal["greeting", "answered", "asked_again", "dont_know", "small_talk", "notice", "goodbye"]


class TurnRecorded(CallFact):
    """One exchange: what the caller said, what the agent said, and what the caller really heard of it."""

    fact: ClassVar[str] = "turn"
    publishers: ClassVar[frozenset[Service]] = _AGENT
    consumers: ClassVar[frozenset[Service]] = _ORCHESTRATOR

    turn: int = Field(ge=0)
    kind: TurnKind
    caller_said: tuple[Hypothesis, ...] = ()
    agent_said: Sealed
    agent_heard: Sealed
    interrupted: bool = False
    passages: tuple[PassageUsed, ...] = ()
    receipts: tuple[ToolReceipt, ...] = ()
    timings: TurnTimings = TurnTimings()
    faults: tuple[ProviderFault, ...] = ()


class ConversationSaved(CallFact):
    """The conversation core's state after a turn: what a replacement job would go on from."""

    fact: ClassVar[str] = "conversation"
    publishers: ClassVar[frozenset[Service]] = _AGENT
    consumers: ClassVar[frozenset[Service]] = _ORCHESTRATOR

    turn: int = Field(ge=0)
    state: Sealed


class CallEnded(CallFact):
    """The job's word that the call is over."""

    fact: ClassVar[str] = "ended"
    publishers: ClassVar[frozenset[Service]] = _AGENT
    consumers: ClassVar[frozenset[Service]] = _ORCHESTRATOR

    room_sid: str
    reason: EndReason
    alone: DecidedAlone | None = None
    """Of a call that was refused; that of an answered one is in :class:`CallAnswered`."""


# -- hints from LiveKit, through the gateway -------------------------------------------------------------------------


class MediaHint(CallFact):
    """A verified LiveKit webhook, reduced to what we use. Late, repeated or lost ones must not matter."""

    fact: ClassVar[str] = "media"
    publishers: ClassVar[frozenset[Service]] = _GATEWAY
    consumers: ClassVar[frozenset[Service]] = _ORCHESTRATOR

    event: Literal["room_started", "room_finished", "participant_joined", "participant_left", "track_published"]
    event_id: str = Field(max_length=64)
    room_sid: str = Field(max_length=64)
    room_name: Sealed
    participant_kind: Literal["", "standard", "sip", "agent", "other"] = ""
    sip_call_id: str = Field(default="", max_length=200)


# -- what the orchestrator tells the fleet ---------------------------------------------------------------------------


class CallOpened(CallFact):
    fact: ClassVar[str] = "opened"
    publishers: ClassVar[frozenset[Service]] = _ORCHESTRATOR
    consumers: ClassVar[frozenset[Service]] = frozenset()

    outcome: Outcome
    reason: DecisionReason


class CallClosed(CallFact):
    """The one terminal record of a call exists."""

    fact: ClassVar[str] = "closed"
    publishers: ClassVar[frozenset[Service]] = _ORCHESTRATOR
    consumers: ClassVar[frozenset[Service]] = frozenset()

    reason: EndReason
    seconds: float = Field(ge=0)


# -- commands to the job ---------------------------------------------------------------------------------------------


class EndCall(Contract):
    epoch: int
    reason: EndReason = EndReason.OPERATOR_ENDED


END_CALL = Command("end", EndCall, Empty, services(Service.CALL_ORCHESTRATOR))
PULSE = Command("pulse", Empty, Empty, services(Service.CALL_ORCHESTRATOR), deadline=1.0)
"""Answered by every job as long as it lives: that somebody serves it is all that is asked."""


# -- words while they are spoken -------------------------------------------------------------------------------------


class LiveWords(Live):
    """Words of either side; ``final`` is false while they may still change."""

    kind: ClassVar[str] = "words"

    speaker: Literal["caller", "agent"]
    text: Sealed
    final: bool


class LiveSource(Live):
    """The passage that the answer being spoken was taken from."""

    kind: ClassVar[str] = "source"

    document_name: Sealed
    heading: Sealed
    text: Sealed


class LiveState(Live):
    kind: ClassVar[str] = "state"

    state: CallState


# -- questions about records -----------------------------------------------------------------------------------------


class GetCall(Contract):
    call_id: UUID


class CallSummary(Contract):
    call_id: UUID
    state: CallState
    caller: Sealed | None
    dialled: Sealed | None
    started_at: AwareDatetime
    answered_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    end_reason: EndReason | None
    outcome: Outcome | None
    configuration_version: int | None
    turns: int
    degraded: bool = False


class TurnRecord(Contract):
    turn: int
    epoch: int
    kind: TurnKind
    caller_said: tuple[Hypothesis, ...]
    agent_said: Sealed
    agent_heard: Sealed
    interrupted: bool
    passages: tuple[PassageUsed, ...]
    timings: TurnTimings
    faults: tuple[ProviderFault, ...] = ()


class CallRecord(Contract):
    summary: CallSummary
    turns: tuple[TurnRecord, ...]


class CallList(Contract):
    calls: tuple[CallSummary, ...]
    next_cursor: str | None = None


class EndCallRequest(Contract):
    call_id: UUID


GET_CALL = Rpc("calls", "get", GetCall, CallRecord, Service.CALL_ORCHESTRATOR, _GATEWAY, deadline=5.0)
LIST_CALLS = Rpc("calls", "list", Page, CallList, Service.CALL_ORCHESTRATOR, _GATEWAY, deadline=5.0)
REQUEST_END = Rpc("calls", "end", EndCallRequest, Empty, Service.CALL_ORCHESTRATOR, _GATEWAY, deadline=5.0)


class PreviewRequest(Contract):
    """What would happen if somebody called this number of ours now?"""

    number: str = Field(pattern=r"^\+[1-9]\d{6,14}$")


PREVIEW = Rpc("calls", "preview", PreviewRequest, Decision, Service.CALL_ORCHESTRATOR, _GATEWAY)
LISTEN = Rpc("calls", "listen", Empty, Empty, Service.CALL_ORCHESTRATOR, _GATEWAY)
"""May this actor listen to what is being said in the tenant's live calls?"""
