"""What every service that writes audit lines has in common: what a line says, and what of it is masked.

tenant-svc keeps the audit, one chain per tenant (docs/decisions/0009). Another service puts :func:`told` into its outbox, in
the transaction of what the line tells of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from switchboard.contracts.audit import AuditRecorded
from switchboard.contracts.base import Actor, Origin, Service
from switchboard.sealed import Sealed
from switchboard.telemetry import trace_ids

MASK = "[masked]"
_MASKED = (Sealed, SecretStr, SecretBytes, bytes, bytearray, memoryview)
"""By type: what a contract seals or a setting hides, and raw bytes, which are keys and ciphertext wherever we have them."""

State = BaseModel | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """What was acted on. ``id`` is ours: no name, no number, no address."""

    kind: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was done to a tenant. ``before`` and ``after`` are masked when the line is written."""

    action: str
    resource: Resource
    before: State | None = None
    after: State | None = None


def masked(value: Any) -> Any:
    """``value`` as plain JSON with everything masked that has the type of a secret, however deep and under whatever name."""
    if isinstance(value, _MASKED):
        return MASK
    if isinstance(value, BaseModel):
        # Field by field: a dump would turn a sealed field into plain text before anybody could see its type.
        return {name: masked(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((masked(item) for item in value), key=canonical)
    if isinstance(value, Enum):
        return masked(value.value)
    return to_jsonable_python(value)


def canonical(value: Any) -> str:
    """JSON in exactly one form: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def state_text(state: State | None) -> str | None:
    """``before`` or ``after`` as it is stored: masked, canonical JSON."""
    return None if state is None else canonical(masked(state))


def told(tenant_id: UUID, service: Service, actor: Actor, line: Line, at: datetime) -> AuditRecorded:
    """``line`` as a fact, for a service that keeps no audit itself; with the trace that is current."""
    before, after = state_text(line.before), state_text(line.after)
    origin = actor.origin or Origin()
    return AuditRecorded(
        tenant_id=tenant_id,
        at=at,
        service=service,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_roles=actor.roles,
        action=line.action,
        resource_kind=line.resource.kind,
        resource_id=line.resource.id,
        ip=Sealed(origin.ip) if origin.ip else None,
        user_agent=Sealed(origin.user_agent) if origin.user_agent else None,
        request_id=origin.request_id,
        trace_id=trace_ids().get("trace_id", ""),
        before=None if before is None else Sealed(before),
        after=None if after is None else Sealed(after),
    )
