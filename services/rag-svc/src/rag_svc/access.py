"""Who may do what here. The gateway says who is asking; this service decides."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from switchboard.bus import Call
from switchboard.contracts.base import Rpc
from switchboard.errors import Forbidden, NotFound

EDITORS = frozenset({"owner", "admin"})
"""Roles that may add and remove documents."""


def tenant_of(call: Call, spec: Rpc[Any, Any], *, edits: bool = False) -> UUID:
    """The tenant whose knowledge this request is about.

    Another tenant's user gets :class:`NotFound`, as if there were nothing here; a service gets it for methods that the
    catalogue doesn't let it call. :class:`Forbidden` names the right that one of the tenant's own people lacks.
    """
    if call.tenant_id is None:
        raise NotFound()
    actor = call.actor
    if actor.kind == "service":
        if actor.id not in {client.value for client in spec.clients}:
            raise NotFound()
        return call.tenant_id
    if actor.kind not in ("user", "api_key") or actor.tenant_id != call.tenant_id:
        raise NotFound()
    if edits and not EDITORS.intersection(actor.roles):
        raise Forbidden("changing documents needs the role owner or admin")
    return call.tenant_id
