"""Who may ask what: the owner of the calls decides, whoever authenticated."""

from __future__ import annotations

from uuid import UUID

from switchboard.bus import Call
from switchboard.contracts.base import Service
from switchboard.errors import Forbidden, NotFound

_PEOPLE = ("user", "api_key")
MAY_END = frozenset({"owner", "admin", "calls:end"})
"""Roles, or the scope of an API key, that may hang up on a caller."""


def tenant_of(call: Call) -> UUID:
    """The tenant on whose behalf a request is made: a user or key of that very tenant. Anybody else finds nothing."""
    tenant_id = call.tenant_id
    if tenant_id is None or call.actor.kind not in _PEOPLE or call.actor.tenant_id != tenant_id:
        raise NotFound()
    return tenant_id


def may_end(call: Call) -> None:
    """:class:`Forbidden` that names the right."""
    if not MAY_END.intersection(call.actor.roles):
        raise Forbidden("ending a call needs the role owner or admin, or a key with calls:end")


def voice_agent(call: Call) -> None:
    """The job of a call that has no tenant yet."""
    if call.actor.kind != "service" or call.actor.id != Service.VOICE_AGENT.value:
        raise NotFound()


def job_tenant(call: Call) -> UUID:
    """The tenant of a live call whose job asks."""
    voice_agent(call)
    if call.tenant_id is None:
        raise NotFound()
    return call.tenant_id
