"""Who may ask what beside a tenant's people and keys (:mod:`switchboard.rights`): the jobs of calls."""

from __future__ import annotations

from uuid import UUID

from switchboard.bus import Call
from switchboard.contracts.base import Service
from switchboard.errors import NotFound


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
