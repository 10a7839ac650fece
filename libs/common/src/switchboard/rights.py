"""Who may do what to a tenant: the one table of rights, which every service that owns something asks.

The gateway says who is asking (:class:`~switchboard.contracts.base.Actor`); the service that owns what is asked for decides,
by :func:`allowed`, in its handler. A role gives the rights below; an API key has those that stand in its scopes, which have
the same names.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from switchboard.contracts.base import Actor
from switchboard.errors import Forbidden, NotFound

if TYPE_CHECKING:  # the bus reads the contracts, and these name roles
    from switchboard.bus import Call


class Right(enum.StrEnum):
    SETTINGS_READ = "settings:read"
    """The tenant, its locations, numbers, trunks, providers."""
    SETTINGS_WRITE = "settings:write"
    NUMBERS_WRITE = "numbers:write"
    """Numbers and trunks: where calls come from."""
    LIVE_WRITE = "live:write"
    """What callers meet: publishing, going live, pausing."""
    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    CALLS_READ = "calls:read"
    CALLS_END = "calls:end"
    AUDIT_READ = "audit:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    OWNERS_WRITE = "owners:write"
    """Making somebody an owner, and taking that away."""
    SUPPORT_WRITE = "support:write"
    """Letting the platform's support in."""


class Role(enum.StrEnum):
    """What a member of a tenant is there."""

    OWNER = "owner"
    ADMIN = "admin"
    STAFF = "staff"
    READ_ONLY = "read_only"


SUPPORT = "support"
"""The role of the platform's support in a tenant that has let it in; nobody can be given it."""

_LOOK = frozenset({Right.SETTINGS_READ, Right.DOCUMENTS_READ, Right.CALLS_READ})
_ALL = frozenset(Right)
_OWNERS_ONLY = frozenset({Right.OWNERS_WRITE, Right.SUPPORT_WRITE})

RIGHTS_OF_ROLE: Mapping[str, frozenset[Right]] = {
    Role.OWNER: _ALL,
    Role.ADMIN: _ALL - _OWNERS_ONLY,
    Role.STAFF: _LOOK | {Right.DOCUMENTS_WRITE, Right.CALLS_END, Right.MEMBERS_READ},
    Role.READ_ONLY: _LOOK,
    SUPPORT: _LOOK | {Right.AUDIT_READ},
}

KEY_SCOPES = _ALL - _OWNERS_ONLY - {Right.KEYS_WRITE, Right.MEMBERS_WRITE}
"""What a key may be for. Who may come in is decided by people, who can be asked for a second factor."""

READING = frozenset(right for right in Right if right.value.endswith(":read"))
"""All that is left to everybody in a suspended tenant."""

_OF_A_TENANT = frozenset({"user", "api_key"})


def rights_of(actor: Actor) -> frozenset[Right]:
    """All that ``actor`` may do in its own tenant; nothing for a role or a scope that nobody knows (any more)."""
    rights = {right for role in actor.roles for right in RIGHTS_OF_ROLE.get(role, frozenset())}
    if actor.kind == "api_key":
        rights |= {right for right in KEY_SCOPES if right.value in actor.scopes}
    return frozenset(rights)


def tenant_of(call: Call) -> UUID:
    """The tenant that ``call`` is about, when its actor belongs to it; anybody else is told that there is nothing."""
    actor = call.actor
    if call.tenant_id is None or actor.kind not in _OF_A_TENANT or actor.tenant_id != call.tenant_id:
        raise NotFound
    return call.tenant_id


def allowed(call: Call, right: Right) -> UUID:
    """Like :func:`tenant_of`, for an actor that has ``right``; :class:`Forbidden` names it to one that hasn't."""
    tenant_id = tenant_of(call)
    require(call.actor, right)
    return tenant_id


def require(actor: Actor, right: Right) -> None:
    """:class:`Forbidden` that names ``right``, and who has it."""
    if right in rights_of(actor):
        if actor.suspended and right not in READING:
            raise Forbidden(
                f"this account is suspended: it can be read; {right.value} waits until the platform resumes it"
            )
        return
    roles = " or ".join(role for role in Role if right in RIGHTS_OF_ROLE[role])
    key = f", or an API key with the scope {right.value}" if right in KEY_SCOPES else ""
    raise Forbidden(f"this needs the right {right.value}: the role {roles}{key}")
