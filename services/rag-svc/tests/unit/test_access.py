from __future__ import annotations

from uuid import UUID

import pytest
from rag_svc.access import tenant_of
from switchboard.bus import Call
from switchboard.contracts.base import Actor, Service
from switchboard.contracts.documents import INDEX, REGISTER, SEARCH
from switchboard.errors import Forbidden, NotFound
from switchboard.rights import Right

pytestmark = pytest.mark.unit

OURS, THEIRS = UUID(int=1), UUID(int=2)


def call(actor: Actor, tenant_id: UUID | None = OURS) -> Call:
    return Call(tenant_id, actor, "api-gateway", 0.0)


def test_a_tenants_own_people_read_and_its_admins_change() -> None:
    member = Actor(kind="user", id="u", tenant_id=OURS, roles=("read_only",))
    admin = Actor(kind="api_key", id="k", tenant_id=OURS, roles=("admin",))

    assert tenant_of(call(member), SEARCH, Right.DOCUMENTS_READ) == OURS
    assert tenant_of(call(admin), REGISTER, Right.DOCUMENTS_WRITE) == OURS
    with pytest.raises(Forbidden, match="documents:write"):
        tenant_of(call(member), REGISTER, Right.DOCUMENTS_WRITE)


@pytest.mark.parametrize(
    "actor",
    [
        Actor(kind="user", id="u", tenant_id=THEIRS, roles=("owner",)),
        Actor(kind="api_key", id="k", tenant_id=None, roles=("owner",)),
        Actor.anonymous(),
        Actor.of_service(Service.TENANT_SVC),
    ],
)
def test_everybody_else_is_told_that_there_is_nothing(actor: Actor) -> None:
    with pytest.raises(NotFound):
        tenant_of(call(actor), SEARCH, Right.DOCUMENTS_READ)


def test_a_service_does_what_the_catalogue_lets_it_do() -> None:
    worker = Actor.of_service(Service.INGEST_WORKER)

    assert tenant_of(call(worker), INDEX, Right.DOCUMENTS_WRITE) == OURS
    with pytest.raises(NotFound):
        tenant_of(call(worker), SEARCH, Right.DOCUMENTS_READ)


def test_a_request_about_no_tenant_finds_nothing() -> None:
    with pytest.raises(NotFound):
        tenant_of(call(Actor.of_service(Service.VOICE_AGENT), None), SEARCH, Right.DOCUMENTS_READ)
