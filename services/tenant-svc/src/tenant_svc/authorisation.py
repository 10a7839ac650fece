"""Who asks before any tenant is known; who may do what to one is decided by :mod:`switchboard.rights`."""

from __future__ import annotations

from switchboard.bus import Call
from switchboard.contracts.base import Actor
from switchboard.errors import InvalidInput


def newcomer(call: Call) -> Actor:
    """The actor of a request that comes before any tenant is known (its subject names none)."""
    if call.tenant_id is not None:
        raise InvalidInput("this request is made before a tenant is known, so its subject must not name one")
    return call.actor
