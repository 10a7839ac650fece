"""Who may ask the orchestrator what."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from call_orchestrator.calls import authorise
from switchboard.bus import Call
from switchboard.contracts.base import Actor, Service
from switchboard.errors import NotFound

pytestmark = pytest.mark.unit

OURS = UUID(int=1)
AGENT = Actor.of_service(Service.VOICE_AGENT)


def call(actor: Actor, tenant_id: UUID | None = OURS) -> Call:
    return Call(tenant_id, actor, "", 0.0)


def person(tenant_id: UUID | None, *roles: str) -> Actor:
    return Actor(kind="user", id="u", tenant_id=tenant_id, roles=roles)


@pytest.mark.parametrize("check", [authorise.voice_agent, authorise.job_tenant])
@pytest.mark.parametrize("actor", [person(OURS, "owner"), Actor.of_service(Service.API_GATEWAY), Actor.anonymous()])
def test_only_the_voice_agent_speaks_for_a_job(check: Callable[[Call], object], actor: Actor) -> None:
    with pytest.raises(NotFound):
        check(call(actor))


def test_the_voice_agent_speaks_for_the_call_of_the_subject() -> None:
    authorise.voice_agent(call(AGENT, tenant_id=None))
    assert authorise.job_tenant(call(AGENT)) == OURS
    with pytest.raises(NotFound):
        authorise.job_tenant(call(AGENT, tenant_id=None))
