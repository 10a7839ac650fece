from __future__ import annotations

import uuid

import pytest
from switchboard.bus import Call
from switchboard.contracts.base import Actor
from switchboard.errors import Forbidden, InvalidInput, NotFound
from tenant_svc.authorisation import editor, newcomer, reader

pytestmark = pytest.mark.unit

TENANT = uuid.uuid4()


def call(actor: Actor, tenant_id: uuid.UUID | None = TENANT) -> Call:
    return Call(tenant_id, actor, "api-gateway", 0.0)


def member(*roles: str, kind: str = "user", tenant_id: uuid.UUID | None = TENANT) -> Actor:
    return Actor.model_validate({"kind": kind, "id": "x", "tenant_id": tenant_id, "roles": roles})


def test_only_people_and_keys_of_the_tenant_read() -> None:
    assert reader(call(member())) == TENANT
    assert reader(call(member(kind="api_key"))) == TENANT
    strangers = [
        call(member("owner", tenant_id=uuid.uuid4())),
        call(member("owner", tenant_id=None)),
        call(member("owner", kind="service")),
        call(member("owner", kind="anonymous")),
        call(Actor.anonymous(), None),
        call(member("owner", tenant_id=None), None),
    ]
    for stranger in strangers:
        with pytest.raises(NotFound):
            reader(stranger)
        with pytest.raises(NotFound):
            editor(stranger)


def test_owners_and_admins_write() -> None:
    assert editor(call(member("owner"))) == editor(call(member("member", "admin"))) == TENANT
    with pytest.raises(Forbidden, match="owner or admin"):
        editor(call(member("member")))


def test_a_newcomer_names_no_tenant() -> None:
    assert newcomer(call(Actor.anonymous(), None)) == Actor.anonymous()
    with pytest.raises(InvalidInput):
        newcomer(call(Actor.anonymous()))
