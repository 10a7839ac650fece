"""Who may do what here. The gateway says who is asking; this service decides."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from switchboard.bus import Call
from switchboard.contracts.base import Rpc
from switchboard.errors import NotFound
from switchboard.rights import Right, allowed


def tenant_of(call: Call, spec: Rpc[Any, Any], right: Right) -> UUID:
    """The tenant whose knowledge this request is about.

    Another tenant's user gets :class:`NotFound`, as if there were nothing here; a service gets it for methods that the
    catalogue doesn't let it call. ``Forbidden`` names ``right`` to one of the tenant's own people who lacks it.
    """
    if call.actor.kind != "service":
        return allowed(call, right)
    if call.tenant_id is None or call.actor.id not in {client.value for client in spec.clients}:
        raise NotFound()
    return call.tenant_id
