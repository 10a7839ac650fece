"""Who may ask the orchestrator what."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from call_orchestrator.calls import authorise
from switchboard.bus import Call
from switchboard.contracts.base import Actor, Service
from switchboard.errors import Forbidden, NotFound

pytestmark = pytest.mark.unit

OURS, THEIRS = UUID(int=1), UUID(int=2)
AGENT = Actor.of_service(Service.VOICE_AGENT)


def call(actor: Actor, tenant_id: UUID | None = OURS) -> Call:
    return Call(tenant_id, actor, "", 0.0)


def person(tenant_id: UUID | None, *roles: str) -> Actor:
    return Actor(kind="user", id="u", tenant_id=tenant_id, roles=roles)


def test_a_tenants_own_people_and_keys_read_its_calls() -> None:
    assert authorise.tenant_of(call(person(OURS))) == OURS
    assert authorise.tenant_of(call(Actor(kind="api_key", id="k", tenant_id=OURS))) == OURS


@pytest.mark.parametrize(
    "asked",
    [
        call(person(THEIRS, "owner")),
        call(person(None, "owner")),
        call(person(OURS), tenant_id=None),
        call(Actor.anonymous()),
        call(AGENT),
        call(Actor(kind="service", id="api-gateway", tenant_id=OURS)),
    ],
)
def test_anybody_else_finds_nothing(asked: Call) -> None:
    with pytest.raises(NotFound):
        authorise.tenant_of(asked)


def test_ending_a_call_needs_a_right_that_is_named() -> None:
    authorise.may_end(call(person(OURS, "admin")))
    with pytest.raises(Forbidden, match="owner or admin"):
        authorise.may_end(call(person(OURS, "member")))


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
