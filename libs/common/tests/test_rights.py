"""The one table of rights."""

from __future__ import annotations

import uuid

import pytest
from switchboard.bus import Call
from switchboard.contracts.base import Actor
from switchboard.errors import Forbidden, NotFound
from switchboard.rights import (
    KEY_SCOPES,
    READING,
    RIGHTS_OF_ROLE,
    SUPPORT,
    Right,
    Role,
    allowed,
    rights_of,
    tenant_of,
)

pytestmark = pytest.mark.unit

TENANT = uuid.uuid4()


def call(actor: Actor, tenant_id: uuid.UUID | None = TENANT) -> Call:
    return Call(tenant_id, actor, "api-gateway", 0.0)


def member(
    *roles: str, kind: str = "user", tenant_id: uuid.UUID | None = TENANT, scopes: tuple[str, ...] = ()
) -> Actor:
    return Actor.model_validate({"kind": kind, "id": "x", "tenant_id": tenant_id, "roles": roles, "scopes": scopes})


def test_only_people_and_keys_of_the_tenant_find_anything() -> None:
    assert tenant_of(call(member())) == TENANT
    assert tenant_of(call(member(kind="api_key"))) == TENANT
    strangers = [
        call(member("owner", tenant_id=uuid.uuid4())),
        call(member("owner", tenant_id=None)),
        call(member("owner", kind="service")),
        call(member("owner", kind="anonymous")),
        call(Actor.anonymous(), None),
        call(member("owner", tenant_id=None), None),
    ]
    for stranger in strangers:
        for check in (tenant_of, lambda asked: allowed(asked, Right.SETTINGS_READ)):
            with pytest.raises(NotFound):
                check(stranger)


def test_every_role_has_its_rights_and_no_other() -> None:
    assert set(RIGHTS_OF_ROLE) == {*Role, SUPPORT}
    rights = {role: rights_of(member(role)) for role in RIGHTS_OF_ROLE}
    assert rights[Role.OWNER] == frozenset(Right)
    assert rights[Role.OWNER] - rights[Role.ADMIN] == {Right.OWNERS_WRITE, Right.SUPPORT_WRITE}
    assert rights[Role.READ_ONLY] < rights[Role.STAFF] < rights[Role.ADMIN]
    assert not [right for right in rights[Role.READ_ONLY] | rights[SUPPORT] if not right.endswith(":read")]
    assert rights_of(member("member", "superuser", "")) == frozenset()


def test_a_key_has_its_scopes_and_people_have_none() -> None:
    key = member(kind="api_key", scopes=("calls:read", "no-such:scope"))
    assert rights_of(key) == {Right.CALLS_READ}
    assert rights_of(member(scopes=("calls:read",))) == frozenset()
    assert rights_of(member("staff", kind="api_key", scopes=("audit:read",))) == {
        *RIGHTS_OF_ROLE[Role.STAFF],
        Right.AUDIT_READ,
    }


def test_no_scope_lets_a_key_decide_who_comes_in() -> None:
    people = {Right.KEYS_WRITE, Right.MEMBERS_WRITE, Right.OWNERS_WRITE, Right.SUPPORT_WRITE}
    assert KEY_SCOPES.isdisjoint(people)
    assert rights_of(member(kind="api_key", scopes=tuple(people))) == frozenset()


@pytest.mark.parametrize(
    ("right", "named"),
    [
        (Right.CALLS_END, "calls:end: the role owner or admin or staff, or an API key with the scope calls:end"),
        (Right.MEMBERS_WRITE, "members:write: the role owner or admin$"),
        (Right.OWNERS_WRITE, "owners:write: the role owner$"),
    ],
)
def test_a_missing_right_is_named_with_who_has_it(right: Right, named: str) -> None:
    assert allowed(call(member("owner")), right) == TENANT
    with pytest.raises(Forbidden, match=named):
        allowed(call(member("read_only")), right)


def test_in_a_suspended_tenant_everybody_reads_what_they_could_and_changes_nothing() -> None:
    for who in (member("owner"), member("read_only"), member(kind="api_key", scopes=tuple(KEY_SCOPES))):
        suspended = call(who.model_copy(update={"suspended": True}))
        for right in rights_of(who):
            if right in READING:
                assert allowed(suspended, right) == TENANT
            else:
                with pytest.raises(Forbidden, match=f"suspended: .*{right}"):
                    allowed(suspended, right)
    with pytest.raises(Forbidden, match="this needs the right"):
        allowed(call(member("read_only").model_copy(update={"suspended": True})), Right.SETTINGS_WRITE)


def test_what_reading_is() -> None:
    assert {right for right in Right if right not in READING} == {
        right for right in Right if right.value.partition(":")[2] in ("write", "end")
    }
