"""API keys: made, listed, revoked, expired."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from uuid import UUID

import pytest
from fleet.prove import Tried
from switchboard import rights
from switchboard.contracts import keys as contract
from switchboard.contracts import tenants
from switchboard.contracts.base import Actor, Empty, Service
from switchboard.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from switchboard.rights import RIGHTS_OF_ROLE, Right, Role
from tenant_svc.keys.service import MAX_KEYS
from tenant_svc.testing import Clinic, TenantSvc

pytestmark = pytest.mark.integration


async def listed(tenant_svc: TenantSvc, clinic: Clinic) -> tuple[contract.KeyView, ...]:
    found: contract.KeyList = await tenant_svc.ask(contract.LIST_KEYS, Empty(), clinic)
    return found.keys


async def test_a_key_stands_for_its_scopes_and_its_tenant(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    key = await tenant_svc.new_key(clinic, "documents:write", "calls:read", "calls:read")
    actor = await tenant_svc.authenticate(key.api_key)
    scopes = ("calls:read", "documents:write")
    assert actor == Actor(kind="api_key", id=key.key.key_id.hex, tenant_id=clinic.tenant_id, scopes=scopes)
    used = next(view for view in await listed(tenant_svc, clinic) if view.key_id == key.key.key_id)
    assert used.last_used_at is not None
    assert used.model_copy(update={"last_used_at": None}) == key.key
    assert (used.created_by, used.roles) == (f"user:{clinic.actor.id}", ())


async def test_only_a_hash_of_the_secret_is_kept(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    key = await tenant_svc.new_key(clinic)
    prefix, key_id, secret = key.api_key.split("_")
    assert (prefix, key_id, len(bytes.fromhex(secret))) == ("sb", key.key.key_id.hex, 32)
    [row] = await tenant_svc.rows(
        "SELECT k::text AS all, secret_sha256 FROM tenancy.api_keys AS k WHERE id = $1", UUID(key_id)
    )
    assert secret not in row["all"]
    assert bytes(row["secret_sha256"]) == hashlib.sha256(secret.encode()).digest()


async def test_a_revoked_key_is_out_at_the_next_request(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    key = await tenant_svc.new_key(clinic)
    await tenant_svc.authenticate(key.api_key)
    await tenant_svc.ask(contract.REVOKE_KEY, contract.RevokeKey(key_id=key.key.key_id), clinic)
    with pytest.raises(NotAuthenticated):
        await tenant_svc.authenticate(key.api_key)
    assert key.key.key_id not in [view.key_id for view in await listed(tenant_svc, clinic)]
    with pytest.raises(NotFound):
        await tenant_svc.ask(contract.REVOKE_KEY, contract.RevokeKey(key_id=key.key.key_id), clinic)


async def test_an_expired_key_is_answered_like_an_unknown_one(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    key = await tenant_svc.new_key(clinic, days=1)
    await tenant_svc.authenticate(key.api_key)
    await tenant_svc.rows(
        "UPDATE tenancy.api_keys SET expires_at = now() - interval '1 second' WHERE id = $1", key.key.key_id
    )
    said = []
    unknown = f"sb_{UUID(int=7).hex}_{'0' * 64}"
    for presented in (key.api_key, unknown, key.api_key[:-1] + ("0" if key.api_key[-1] != "0" else "1")):
        with pytest.raises(NotAuthenticated) as refused:
            await tenant_svc.authenticate(presented)
        said.append(refused.value.to_problem())
    assert said[0] == said[1] == said[2]


async def test_the_same_is_compared_for_every_key_that_is_not_let_in(
    tenant_svc: TenantSvc, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, record_property: Tried
) -> None:
    """One comparison, in constant time, of as many bytes: how long an answer takes does not tell whether a key exists."""
    revoked, expired, wrong = [await tenant_svc.new_key(clinic) for _ in range(3)]
    await tenant_svc.ask(contract.REVOKE_KEY, contract.RevokeKey(key_id=revoked.key.key_id), clinic)
    await tenant_svc.rows("UPDATE tenancy.api_keys SET expires_at = now() WHERE id = $1", expired.key.key_id)
    compared: list[tuple[int, int]] = []

    def compare(held: bytes, given: bytes) -> bool:
        compared.append((len(held), len(given)))
        return secrets.compare_digest(held, given)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    presented = (
        f"sb_{UUID(int=7).hex}_{'0' * 64}",
        revoked.api_key,
        expired.api_key,
        f"{wrong.api_key[:-64]}{'0' * 64}",
    )
    for key in presented:
        compared.clear()
        with pytest.raises(NotAuthenticated):
            await tenant_svc.authenticate(key)
        assert compared == [(32, 32)]
    record_property("keys that are not let in", len(presented))


async def test_nobody_makes_a_key_that_can_do_more_than_themselves(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    """Not an admin's scopes for staff, and for nobody the rights to let others in."""
    body = contract.NewKey(name="x", scopes=("calls:read", "audit:read"))
    keeper = Actor(kind="user", id="k", tenant_id=clinic.tenant_id, roles=("staff",))
    with pytest.raises(Forbidden, match="keys:write"):
        await tenant_svc.gateway.request(contract.NEW_KEY, body, tenant_id=clinic.tenant_id, actor=keeper)
    for scope in ("members:write", "keys:write", "owners:write", "nonsense", "owner"):
        with pytest.raises(InvalidInput) as refused:
            await tenant_svc.new_key(clinic, "calls:read", scope)
        assert [field.pointer for field in refused.value.fields] == ["/scopes/1"]
    narrow = await tenant_svc.authenticate((await tenant_svc.new_key(clinic, "settings:read", "keys:read")).api_key)
    other = Clinic(clinic.tenant_id, narrow)
    assert await tenant_svc.ask(tenants.GET_TENANT, Empty(), other)
    assert await listed(tenant_svc, other)
    for spec, asked in ((tenants.PUBLISH, Empty()), (contract.NEW_KEY, body)):
        with pytest.raises(Forbidden):
            await tenant_svc.ask(spec, asked, other)


async def test_a_key_has_no_scope_that_its_maker_lacks(
    tenant_svc: TenantSvc, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the table of rights says of who may make keys: today's makers have every scope."""
    staff = RIGHTS_OF_ROLE[Role.STAFF] | {Right.KEYS_WRITE}
    monkeypatch.setattr(rights, "RIGHTS_OF_ROLE", {**RIGHTS_OF_ROLE, Role.STAFF: staff})
    keeper = Clinic(clinic.tenant_id, Actor(kind="user", id="k", tenant_id=clinic.tenant_id, roles=("staff",)))
    with pytest.raises(Forbidden, match="audit:read"):
        await tenant_svc.new_key(keeper, "calls:read", "audit:read")
    assert (await tenant_svc.new_key(keeper, "calls:read")).key.scopes == ("calls:read",)


async def test_a_key_of_before_keeps_its_role(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    key = await tenant_svc.new_key(clinic)
    await tenant_svc.rows("UPDATE tenancy.api_keys SET scopes = '{}', expires_at = NULL, name = '', roles = '{owner}'")
    assert (await tenant_svc.authenticate(key.api_key)).roles == ("owner",)
    assert [view.roles for view in await listed(tenant_svc, clinic)] == [("owner",)]


async def test_the_last_use_of_a_key_is_written_down_once_a_minute(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    key = await tenant_svc.new_key(clinic)
    used = "SELECT last_used_at FROM tenancy.api_keys"
    await tenant_svc.authenticate(key.api_key)
    [first] = await tenant_svc.rows(used)
    assert first["last_used_at"] is not None
    await tenant_svc.authenticate(key.api_key)
    assert await tenant_svc.rows(used) == [first]
    await tenant_svc.rows("UPDATE tenancy.api_keys SET last_used_at = last_used_at - interval '2 minutes'")
    await tenant_svc.authenticate(key.api_key)
    [later] = await tenant_svc.rows(used)
    assert later["last_used_at"] > first["last_used_at"]


async def test_there_is_an_end_to_keys_also_for_two_who_make_the_last(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    await tenant_svc.rows(
        "INSERT INTO tenancy.api_keys (tenant_id, id, secret_sha256, roles, created_at) "
        "SELECT $1, gen_random_uuid(), sha256(n::text::bytea), '{}', now() FROM generate_series(1, $2::int) AS n",
        clinic.tenant_id,
        MAX_KEYS - 1,
    )
    results = await asyncio.gather(*(tenant_svc.new_key(clinic) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results].count(contract.KeyMade) == 1
    assert [type(result) for result in results].count(Conflict) == 3


async def test_what_was_done_to_keys_is_audited_without_the_secret(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    key = await tenant_svc.new_key(clinic)
    await tenant_svc.ask(contract.REVOKE_KEY, contract.RevokeKey(key_id=key.key.key_id), clinic)
    rows = await tenant_svc.rows(
        "SELECT action, resource_id, state_before, state_after FROM tenancy.audit_log ORDER BY seq DESC LIMIT 2"
    )
    assert [row["action"] for row in rows] == ["api_key.revoked", "api_key.made"]
    assert {row["resource_id"] for row in rows} == {key.key.key_id.hex}
    assert '"scopes":["calls:read"]' in rows[1]["state_after"]
    assert key.api_key.split("_")[2] not in str([dict(row) for row in rows])


async def test_only_the_gateway_may_ask(tenant_svc: TenantSvc) -> None:
    assert {
        client for spec in (contract.NEW_KEY, contract.LIST_KEYS, contract.REVOKE_KEY) for client in spec.clients
    } == {Service.API_GATEWAY}
