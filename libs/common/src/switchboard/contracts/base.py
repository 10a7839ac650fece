"""What a contract is. Everything about a message stands on the message: subject, version, publishers, consumers."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from switchboard import subjects

Domain = Literal["calls", "documents", "config"]


class Service(enum.StrEnum):
    """The processes that may use the bus; also their NATS user names."""

    API_GATEWAY = "api-gateway"
    TENANT_SVC = "tenant-svc"
    CALL_ORCHESTRATOR = "call-orchestrator"
    VOICE_AGENT = "voice-agent"
    RAG_SVC = "rag-svc"
    INGEST_WORKER = "ingest-worker"


class Contract(BaseModel):
    """Frozen; unknown fields are ignored so that an older consumer reads a newer message; errors never show values."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Fact(Contract):
    """Something that happened, kept in a stream. Published at least once; consumers remember its message id."""

    fact: ClassVar[str]
    domain: ClassVar[Domain]
    contract_version: ClassVar[int] = 1
    publishers: ClassVar[frozenset[Service]]
    consumers: ClassVar[frozenset[Service]]

    @classmethod
    def contract(cls) -> str:
        """Name and version as they stand in the envelope, e.g. ``calls.turn/1``."""
        return f"{cls.domain}.{cls.fact}/{cls.contract_version}"

    def subject(self) -> str:
        raise TypeError(f"{type(self).__name__} has no subject of its own")

    def tenant(self) -> UUID | None:
        raise TypeError(f"{type(self).__name__} has no tenant of its own")


class CallFact(Fact):
    """A fact of one call, ordered by ``(epoch, seq)``: the single writer of an epoch counts ``seq`` up from 1."""

    domain: ClassVar[Domain] = "calls"

    tenant_id: UUID | None
    call_id: UUID | None
    epoch: int = Field(ge=0)
    seq: int = Field(ge=0)
    at: AwareDatetime

    def subject(self) -> str:
        return subjects.call_fact(self.tenant_id, self.call_id, self.fact)

    def tenant(self) -> UUID | None:
        return self.tenant_id


class DocumentFact(Fact):
    domain: ClassVar[Domain] = "documents"

    tenant_id: UUID
    document_id: UUID
    at: AwareDatetime

    def subject(self) -> str:
        return subjects.document_fact(self.tenant_id, self.document_id, self.fact)

    def tenant(self) -> UUID | None:
        return self.tenant_id


class ConfigFact(Fact):
    domain: ClassVar[Domain] = "config"

    tenant_id: UUID
    at: AwareDatetime

    def subject(self) -> str:
        return subjects.config_fact(self.tenant_id, self.fact)

    def tenant(self) -> UUID | None:
        return self.tenant_id


class Live(Contract):
    """Something about a call while it lasts, on core NATS: shown to whoever looks, kept by nobody."""

    kind: ClassVar[str]

    tenant_id: UUID
    call_id: UUID
    at: AwareDatetime

    def subject(self) -> str:
        return subjects.live(self.tenant_id, self.call_id, self.kind)

    @classmethod
    def contract(cls) -> str:
        return f"live.{cls.kind}/1"


class Empty(Contract):
    """Nothing, said explicitly."""


class Origin(Contract):
    """Where a request came from, for the audit: the peer's address as its public entry saw it, and which request it was."""

    ip: str = Field(default="", max_length=64, repr=False)
    user_agent: str = Field(default="", max_length=200, repr=False)
    request_id: str = Field(default="", max_length=64)


class Terms(Contract):
    """What a request says of itself. ``key`` names it, so that it is done once however often it comes; ``request`` is a
    digest of all that it asks for. ``if_match``: versions, one of which the thing to be changed must still have."""

    key: str | None = Field(default=None, min_length=1, max_length=200)
    request: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    if_match: tuple[str, ...] = Field(default=(), max_length=10)


class Actor(Contract):
    """On whose behalf a request is made, and on which terms; set by whoever authenticated, checked by the owner
    (:mod:`switchboard.rights`).

    ``scopes`` are an API key's rights; ``session_id`` is that of a user's session; ``suspended``: the platform has suspended
    the tenant.
    """

    kind: Literal["user", "api_key", "service", "anonymous"]
    id: str = ""
    tenant_id: UUID | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    session_id: UUID | None = None
    suspended: bool = False
    origin: Origin | None = None
    terms: Terms | None = None

    @classmethod
    @functools.cache
    def of_service(cls, service: Service) -> Actor:
        return cls(kind="service", id=service.value)

    @classmethod
    def anonymous(cls) -> Actor:
        return cls(kind="anonymous")


RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)


@dataclass(frozen=True, slots=True)
class Rpc(Generic[RequestT, ReplyT]):
    """A request on ``rpc.<service>.<method>.<tenant>``, served by one queue group; ``deadline`` in seconds."""

    service: str
    method: str
    request: type[RequestT]
    reply: type[ReplyT]
    server: Service
    clients: frozenset[Service]
    deadline: float = 2.0
    version: int = 1

    def contract(self) -> str:
        return f"{self.service}.{self.method}/{self.version}"

    def subject(self, tenant_id: UUID | None) -> str:
        return subjects.rpc(self.service, self.method, tenant_id)


@dataclass(frozen=True, slots=True)
class Command(Generic[RequestT, ReplyT]):
    """A request to the one job that owns a live call, on ``calls.<tenant>.<call>.cmd.<name>``."""

    name: str
    request: type[RequestT]
    reply: type[ReplyT]
    clients: frozenset[Service]
    deadline: float = 2.0
    version: int = 1

    def contract(self) -> str:
        return f"command.{self.name}/{self.version}"

    def subject(self, tenant_id: UUID, call_id: UUID) -> str:
        return subjects.command(tenant_id, call_id, self.name)


def services(*names: Service) -> frozenset[Service]:
    """A readable frozenset."""
    return frozenset(names)


class Page(Contract):
    """How much of a list is wanted; ``cursor`` is opaque, as given by the page before."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None
