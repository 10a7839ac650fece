"""What the public API answers, as its client sees it."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Reply(BaseModel):
    """Fields that are not declared here are ignored: the API may grow."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Account(Reply):
    """A clinic's, and its owner's."""

    tenant_id: str
    user_id: str
    email: str
    password: str = Field(repr=False)
    api_key: str = Field(repr=False)


class Location(Reply):
    location_id: str
    name: str


class Number(Reply):
    number: str
    trunk: str
    carrier_account: str | None


class Trunk(Reply):
    trunk_id: str
    name: str
    allowed_addresses: list[str]
    numbers: list[str]
    media_cell: str


class Tenant(Reply):
    tenant_id: str
    name: str
    status: str
    time_zone: str
    language: str
    published_version: int | None
    locations: list[Location]
    numbers: list[Number]


class Published(Reply):
    version: int
    status: str
    published_at: AwareDatetime


class Document(Reply):
    """``status``: uploaded, parsing, embedding, indexed or failed (then ``reason`` says why)."""

    document_id: str
    name: str
    media_type: str
    size: int
    status: str
    reason: str | None
    chunks: int
    status_url: str


class Documents(Reply):
    documents: list[Document]
    next_cursor: str | None


class Passage(Reply):
    passage_id: str
    document_id: str
    document_name: str
    heading: str
    text: str
    score: float
    similarity: float


class SearchResult(Reply):
    passages: list[Passage]
    timings: dict[str, float]


class Call(Reply):
    """``turns`` counts exchanges."""

    call_id: str
    state: str
    caller: str | None
    dialled: str | None
    started_at: AwareDatetime
    answered_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    end_reason: str | None
    outcome: str | None
    configuration_version: int | None
    turns: int
    degraded: bool = False


class Calls(Reply):
    calls: list[Call]
    next_cursor: str | None


class Hypothesis(Reply):
    text: str
    confidence: float


class PassageUsed(Reply):
    passage_id: str
    document_id: str
    document_name: str
    heading: str
    text: str
    score: float
    cited: bool


class Timings(Reply):
    speech_started: AwareDatetime | None
    speech_ended: AwareDatetime | None
    end_of_turn: AwareDatetime | None
    transcript: AwareDatetime | None
    retrieval_started: AwareDatetime | None
    retrieval_ended: AwareDatetime | None
    first_token: AwareDatetime | None
    first_audio: AwareDatetime | None
    speech_stopped: AwareDatetime | None


class Fault(Reply):
    """A provider failed in this turn. ``served_by`` did its work instead; None or "" when nobody could."""

    stage: str
    endpoint: str
    fault: str
    served_by: str | None = None


class Turn(Reply):
    """``caller_heard`` is what the caller heard of ``agent_said`` before any interruption."""

    turn: int
    kind: str
    caller_said: list[Hypothesis]
    agent_said: str
    caller_heard: str
    interrupted: bool
    passages: list[PassageUsed]
    timings: Timings
    faults: list[Fault] = []


class CallRecord(Reply):
    call: Call
    turns: list[Turn]


class Ending(Reply):
    call_id: str
    status_url: str


class Preview(Reply):
    outcome: str
    reason: str
    evidence: dict[str, str | int | bool]
    say: str | None
    forward_to: str | None
    max_call_seconds: int | None
    configuration_version: int | None


class LiveEvent(Reply):
    """``kind`` words: ``speaker`` (caller or agent), ``text``, ``final``. source: ``document_name``, ``heading``,
    ``text``. state: ``state``."""

    kind: Literal["words", "source", "state"]
    call_id: str
    at: AwareDatetime
    speaker: str = ""
    text: str = ""
    final: bool = False
    document_name: str = ""
    heading: str = ""
    state: str = ""
