"""The audit: who did what to a tenant. tenant-svc keeps it, one chain per tenant; other services tell it by a fact."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard.contracts.base import ConfigFact, Contract, Page, Rpc, Service, services
from switchboard.sealed import Sealed

ActorKind = Literal["user", "api_key", "service", "anonymous"]


class AuditRecorded(ConfigFact):
    """One line for a tenant's audit, from a service that keeps none itself.

    ``before`` and ``after`` are JSON objects as text, with secrets and sealed words masked already
    (:func:`switchboard.audit.masked`). What tells of a person, and what was changed, travels sealed.
    """

    fact: ClassVar[str] = "audited"
    publishers: ClassVar[frozenset[Service]] = services(Service.CALL_ORCHESTRATOR, Service.RAG_SVC)
    consumers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC)

    service: Service
    actor_kind: ActorKind
    actor_id: str = Field(default="", max_length=80)
    actor_roles: tuple[str, ...] = ()
    action: str = Field(pattern=r"^[a-z_]+\.[a-z_]+$", max_length=80)
    resource_kind: str = Field(pattern=r"^[a-z_]+$", max_length=40)
    resource_id: str = Field(default="", max_length=80)
    ip: Sealed | None = None
    user_agent: Sealed | None = None
    request_id: str = Field(default="", max_length=64)
    trace_id: str = Field(default="", max_length=32)
    before: Sealed | None = None
    after: Sealed | None = None


class AuditAppended(ConfigFact):
    """A line is in the database: tenant-svc notes it as the chain's head, outside of the database, on this fact."""

    fact: ClassVar[str] = "audit_head"
    publishers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC)
    consumers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC)

    seq: int = Field(ge=1)


class AuditLine(Contract):
    """A line as its tenant reads it. ``seq`` counts from 1 without gaps; ``hash`` is the line's in the chain, in hex."""

    seq: int
    id: UUID
    at: AwareDatetime
    actor_kind: str
    actor_id: str
    actor_roles: tuple[str, ...]
    action: str
    resource_kind: str
    resource_id: str
    service: str
    ip: Sealed
    user_agent: Sealed
    request_id: str
    trace_id: str
    before: Sealed | None
    after: Sealed | None
    hash: str


class AuditList(Contract):
    """Newest first."""

    lines: tuple[AuditLine, ...]
    next_cursor: str | None = None


class AuditHead(Contract):
    """The newest line of a tenant's chain as it stands outside the table, in the bucket ``audit-heads``."""

    seq: int = Field(ge=1)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")


HEAD_CONTRACT = "audit-head/1"
LIST_AUDIT = Rpc("tenants", "audit", Page, AuditList, Service.TENANT_SVC, services(Service.API_GATEWAY))
