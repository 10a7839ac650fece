"""Somebody who may do everything to the database has been at the audit: the verification says where."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest
from switchboard.contracts import tenants as contract
from switchboard.contracts.snapshot import AgentConfiguration
from tenant_svc.audit.anchors import Anchors
from tenant_svc.audit.chain import COVERED
from tenant_svc.audit.verification import Verification, Verified
from tenant_svc.testing import Clinic, TenantSvc, anchored, until

pytestmark = pytest.mark.integration

TAMPERED = {
    "id": "gen_random_uuid()",
    "at": "at + interval '1 microsecond'",
    "actor_kind": "'service'",
    "actor_id": "'somebody else'",
    "actor_roles": "'{admin}'",
    "action": "'number.removed'",
    "resource_kind": "'trunk'",
    "resource_id": "'x'",
    "service": "'x'",
    "ip": "'198.51.100.1'",
    "user_agent": "'x'",
    "request_id": "'x'",
    "trace_id": "'x'",
    "state_before": "'{}'",
    "state_after": "NULL",
    "prev_hash": "sha256('x')",
    "hash": "sha256('x')",
}


async def test_a_change_in_any_column_is_found(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification
) -> None:
    assert set(TAMPERED) | {"tenant_id", "seq"} == {*COVERED, "prev_hash", "hash"}
    missed = []
    await tenant_svc.rows("CREATE TABLE kept AS SELECT * FROM tenancy.audit_log")
    for column, value in TAMPERED.items():
        await tenant_svc.rows(f"UPDATE tenancy.audit_log SET {column} = {value} WHERE seq = 4")
        if not (await verification.one(clinic.tenant_id)).problem.startswith("line 4 was changed"):
            missed.append(column)
        await tenant_svc.rows("DELETE FROM tenancy.audit_log")
        await tenant_svc.rows("INSERT INTO tenancy.audit_log SELECT * FROM kept")
    assert missed == []
    assert await verification.one(clinic.tenant_id) == Verified(clinic.tenant_id, 6)


async def test_a_line_in_the_middle_or_another_tenants_line_is_found(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification
) -> None:
    other = await tenant_svc.sign_up("Otra")
    await tenant_svc.rows("UPDATE tenancy.audit_log SET tenant_id = $1, seq = 2 WHERE seq = 3", other.tenant_id)
    assert (await verification.one(clinic.tenant_id)).problem.startswith("line 3 is missing")
    assert (await verification.one(other.tenant_id)).problem.startswith("line 2 was changed")


async def test_two_lines_that_were_swapped_are_found(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification
) -> None:
    for old, new in ((3, 1003), (4, 3), (1003, 4)):
        await tenant_svc.rows("UPDATE tenancy.audit_log SET seq = $2 WHERE seq = $1", old, new)
    assert (await verification.one(clinic.tenant_id)).problem.startswith("line 3 was changed")


async def test_a_forged_line_is_found_also_when_the_service_s_own_role_wrote_it(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification
) -> None:
    """What an injected statement could do: it may insert, and may say how far the chain goes."""
    columns = ", ".join(column for column in TAMPERED if column not in ("id", "hash", "prev_hash"))
    conn = await asyncpg.connect(tenant_svc.database.dsn("tenant_svc"))
    await conn.execute("SELECT set_config('app.tenant_id', $1, false)", str(clinic.tenant_id))
    await conn.execute(
        f"INSERT INTO tenancy.audit_log (tenant_id, seq, id, prev_hash, hash, {columns})"
        f" SELECT tenant_id, 7, gen_random_uuid(), hash, sha256('forged'), {columns}"
        " FROM tenancy.audit_log WHERE seq = 6"
    )
    await conn.execute("UPDATE tenancy.audit_chains SET seq = 7, hash = sha256('forged')")
    await conn.close()
    assert (await verification.one(clinic.tenant_id)).problem.startswith("line 7 was changed, or was not written by")


async def test_a_last_line_that_was_cut_off_is_found_and_stays_found_when_the_service_writes_on(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification, anchors: Anchors
) -> None:
    await cut(tenant_svc, 6)
    problem = (await verification.one(clinic.tenant_id)).problem
    assert problem == "lines 6 to 6 are missing at the end: line 6 was anchored"
    for greeting in ("Other", "Words", "Now"):
        await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(greeting=greeting), clinic)
    await until(lambda: heads_told(tenant_svc, 8))
    assert (await verification.one(clinic.tenant_id)).problem == "line 6 is not the one that was anchored"
    assert await anchored(anchors, clinic, 6)
    assert not await anchors.advance(clinic.tenant_id, 8)


async def test_a_chain_that_was_taken_away_whole_is_found(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification
) -> None:
    async def problems() -> dict[UUID, str]:
        return {found.tenant_id: found.problem async for found in verification.all() if found.problem}

    assert await problems() == {}
    await tenant_svc.rows("DELETE FROM tenancy.audit_log")
    await tenant_svc.rows("DELETE FROM tenancy.audit_chains")
    assert await problems() == {clinic.tenant_id: "the whole chain is missing: line 6 was anchored"}
    for table in ("numbers", "locations", "session_tenants", "members", "api_keys", "tenants"):
        await tenant_svc.rows(f"DELETE FROM tenancy.{table}")
    assert await problems() == {clinic.tenant_id: "the whole chain is missing: line 6 was anchored"}


async def test_a_chain_s_key_that_was_replaced_is_found(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification
) -> None:
    other = await tenant_svc.sign_up("Otra")
    await tenant_svc.rows(
        "UPDATE tenancy.audit_chains SET key_wrapped = (SELECT key_wrapped FROM tenancy.audit_chains WHERE tenant_id = $1)",
        other.tenant_id,
    )
    assert "the chain's key is not one" in (await verification.one(clinic.tenant_id)).problem
    assert (await verification.one(other.tenant_id)).problem == ""


async def cut(tenant_svc: TenantSvc, seq: int) -> None:
    """Take away the newest line, and make the database's own note fit."""
    await tenant_svc.rows("DELETE FROM tenancy.audit_log WHERE seq = $1", seq)
    await tenant_svc.rows(
        "UPDATE tenancy.audit_chains SET seq = $1 - 1, hash = (SELECT hash FROM tenancy.audit_log WHERE seq = $1 - 1)",
        seq,
    )


async def heads_told(tenant_svc: TenantSvc, seq: int) -> bool:
    """The fact about line ``seq`` has been sent."""
    waiting = "SELECT 1 FROM tenancy.outbox WHERE sent_at IS NULL"
    lines = "SELECT 1 FROM tenancy.audit_log WHERE seq = $1"
    return not await tenant_svc.rows(waiting) and bool(await tenant_svc.rows(lines, seq))
