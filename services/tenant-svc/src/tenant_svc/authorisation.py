"""Who may do what to a tenant. The gateway says who asks; this service decides."""

from __future__ import annotations

from uuid import UUID

from switchboard.bus import Call
from switchboard.contracts.base import Actor
from switchboard.errors import Forbidden, InvalidInput, NotFound

OWNER = "owner"
ADMIN = "admin"
_EDITORS = frozenset({OWNER, ADMIN})
_OF_A_TENANT = frozenset({"user", "api_key"})


def reader(call: Call) -> UUID:
    """The tenant that ``call`` is about, when its actor belongs to it; anybody else is told that there is nothing."""
    actor = call.actor
    if call.tenant_id is None or actor.kind not in _OF_A_TENANT or actor.tenant_id != call.tenant_id:
        raise NotFound
    return call.tenant_id


def editor(call: Call) -> UUID:
    """Like :func:`reader`, for those who may change things; ``Forbidden`` names the right that is missing."""
    tenant_id = reader(call)
    if not _EDITORS.intersection(call.actor.roles):
        raise Forbidden("this needs the role owner or admin")
    return tenant_id


def newcomer(call: Call) -> Actor:
    """The actor of a request that comes before any tenant is known (its subject names none)."""
    if call.tenant_id is not None:
        raise InvalidInput("this request is made before a tenant is known, so its subject must not name one")
    return call.actor
