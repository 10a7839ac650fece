"""Public shapes of the audit. Values of ``action``, ``kind`` and ``service`` may grow."""

from __future__ import annotations

import json
from typing import Any, Self
from uuid import UUID

from pydantic import AwareDatetime, Field
from switchboard.contracts.audit import AuditLine, AuditList

from api_gateway.schemas import Shape


class AuditActorShape(Shape):
    """Who did it. ``id`` is the key's, the user's, or a part of the platform; ``roles`` are those it had then."""

    kind: str
    id: str
    roles: tuple[str, ...]


class AuditResourceShape(Shape):
    kind: str
    id: str


class AuditOriginShape(Shape):
    """From where: the service that did it, and the address and program that asked for it (empty: nobody outside did)."""

    service: str
    ip: str
    user_agent: str


class AuditLineShape(Shape):
    """``seq`` counts from 1 without gaps. ``before`` and ``after`` hold what was changed, secrets as ``[masked]``."""

    seq: int
    id: UUID
    at: AwareDatetime
    actor: AuditActorShape
    action: str
    resource: AuditResourceShape
    origin: AuditOriginShape
    request_id: str
    trace_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    hash: str = Field(description="of this line in the chain, hex; it covers the line and the hash before it")

    @classmethod
    def of_line(cls, line: AuditLine) -> Self:
        return cls(
            seq=line.seq,
            id=line.id,
            at=line.at,
            actor=AuditActorShape(kind=line.actor_kind, id=line.actor_id, roles=line.actor_roles),
            action=line.action,
            resource=AuditResourceShape(kind=line.resource_kind, id=line.resource_id),
            origin=AuditOriginShape(service=line.service, ip=line.ip, user_agent=line.user_agent),
            request_id=line.request_id,
            trace_id=line.trace_id,
            before=None if line.before is None else json.loads(line.before),
            after=None if line.after is None else json.loads(line.after),
            hash=line.hash,
        )


class AuditShape(Shape):
    lines: tuple[AuditLineShape, ...]
    next_cursor: str | None

    @classmethod
    def of_list(cls, found: AuditList, next_cursor: str | None) -> Self:
        return cls(lines=tuple(map(AuditLineShape.of_line, found.lines)), next_cursor=next_cursor)
