"""The subject grammar of the bus (DESIGN section 3), built and parsed in one place.

::

    tenants.<tenant>.calls.<call>.<fact>           JetStream
    tenants.<tenant>.documents.<document>.<fact>   JetStream
    tenants.<tenant>.config.<fact>                 JetStream
    calls.<tenant>.<call>.cmd.<name>               request to the job that owns a live call
    live.<tenant>.<call>.<kind>                    core NATS, may be lost
    rpc.<service>.<method>.<tenant>                request
    dead.<tenant>.<consumer>                       dead letters

Ids are 32 lower-case hex characters or ``_``. Names (fact, method, ...) are constants of the contract catalogue and are
checked all the same: nothing from outside becomes part of a subject.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from uuid import UUID

from switchboard.errors import InvalidId
from switchboard.ids import NOBODY, parse_optional_token, token

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")
WILDCARD = "*"


@functools.lru_cache(maxsize=512)
def name(text: str) -> str:
    """``text`` when it may stand in a subject as a name; :class:`InvalidId` otherwise."""
    if _NAME.fullmatch(text) is None:
        raise InvalidId("subject", "a subject name must be lower-case letters, digits, '-' or '_'")
    return text


def call_fact(tenant_id: UUID | None, call_id: UUID | None, fact: str) -> str:
    return f"tenants.{token(tenant_id)}.calls.{token(call_id)}.{name(fact)}"


def document_fact(tenant_id: UUID, document_id: UUID, fact: str) -> str:
    return f"tenants.{token(tenant_id)}.documents.{token(document_id)}.{name(fact)}"


def config_fact(tenant_id: UUID, fact: str) -> str:
    return f"tenants.{token(tenant_id)}.config.{name(fact)}"


def command(tenant_id: UUID, call_id: UUID, command_name: str) -> str:
    return f"calls.{token(tenant_id)}.{token(call_id)}.cmd.{name(command_name)}"


def live(tenant_id: UUID, call_id: UUID, kind: str) -> str:
    return f"live.{token(tenant_id)}.{token(call_id)}.{name(kind)}"


def live_of_tenant(tenant_id: UUID) -> str:
    """The subscription to everything said in a tenant's live calls."""
    return f"live.{token(tenant_id)}.>"


def rpc(service: str, method: str, tenant_id: UUID | None) -> str:
    return f"rpc.{name(service)}.{name(method)}.{token(tenant_id)}"


def dead_letter(tenant_id: UUID | None, consumer: str) -> str:
    return f"dead.{token(tenant_id)}.{name(consumer)}"


@dataclass(frozen=True, slots=True)
class FactSubject:
    """A parsed fact subject. ``entity_id`` is the call or document; ``None`` for ``_`` and for configuration."""

    tenant_id: UUID | None
    domain: str
    entity_id: UUID | None
    fact: str


def parse_fact(subject: str) -> FactSubject:
    """By position; :class:`InvalidId` for anything that the builders above would not have made."""
    parts = subject.split(".")
    if len(parts) == 4 and parts[0] == "tenants" and parts[2] == "config":
        return FactSubject(parse_optional_token(parts[1], "tenant"), "config", None, name(parts[3]))
    if len(parts) == 5 and parts[0] == "tenants" and parts[2] in ("calls", "documents"):
        tenant_id = parse_optional_token(parts[1], "tenant")
        return FactSubject(tenant_id, parts[2], parse_optional_token(parts[3]), name(parts[4]))
    raise InvalidId("subject", "not a fact subject")


def tenant_of(subject: str) -> UUID | None:
    """The tenant that an ``rpc``, ``calls`` or ``live`` subject names."""
    parts = subject.split(".")
    position = {"rpc": 3, "calls": 1, "live": 1, "tenants": 1, "dead": 1}.get(parts[0])
    if position is None or len(parts) <= position:
        raise InvalidId("subject", "no tenant in this subject")
    return parse_optional_token(parts[position], "tenant")


__all__ = [
    "NOBODY",
    "WILDCARD",
    "FactSubject",
    "call_fact",
    "command",
    "config_fact",
    "dead_letter",
    "document_fact",
    "live",
    "live_of_tenant",
    "name",
    "parse_fact",
    "rpc",
    "tenant_of",
]
