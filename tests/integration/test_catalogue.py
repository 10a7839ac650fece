"""The migrated database of the whole fleet keeps tenants apart by construction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from fleet.prove import Tried
from switchboard.testing.catalogue import (
    function_gaps,
    isolation_gaps,
    listed_functions,
    role_gaps,
    tenant_tables,
)
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

LISTED = listed_functions(Path(__file__).with_name("security_definer.txt"))


@pytest.fixture
async def admin(migrated: MigratedDatabase) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    conn = await asyncpg.connect(migrated.admin_dsn)
    yield conn
    await conn.close()


async def test_every_table_of_a_tenant_is_isolated(
    admin: asyncpg.Connection[asyncpg.Record], record_property: Tried
) -> None:
    tables = await tenant_tables(admin)
    assert len(tables) >= 6
    record_property("tables", len(tables))
    assert await isolation_gaps(admin) == []


async def test_no_service_owns_anything_or_may_pass_by_a_policy(admin: asyncpg.Connection[asyncpg.Record]) -> None:
    assert await role_gaps(admin) == []


async def test_every_security_definer_function_is_listed(admin: asyncpg.Connection[asyncpg.Record]) -> None:
    assert await function_gaps(admin, LISTED) == []


@pytest.mark.parametrize(
    ("sabotage", "complaint"),
    [
        ("ALTER TABLE calls.inbox DISABLE ROW LEVEL SECURITY", "calls.inbox: row-level security is not enabled"),
        ("ALTER TABLE calls.inbox NO FORCE ROW LEVEL SECURITY", "calls.inbox: row-level security is not enabled"),
        ("DROP POLICY tenant_isolation ON calls.inbox", "calls.inbox: has policies []"),
        ("CREATE POLICY more ON calls.inbox USING (true)", "wanted exactly tenant_isolation"),
        ("ALTER POLICY tenant_isolation ON calls.inbox USING (true)", "is not the one tenant_table() makes"),
        (
            "ALTER POLICY tenant_isolation ON calls.inbox USING (tenant_id = current_setting('app.tenant_id')::uuid)",
            "is not the one tenant_table() makes",
        ),
        ("ALTER POLICY tenant_isolation ON calls.inbox TO ops", "is not the one tenant_table() makes"),
        ("CREATE TABLE calls.notes (tenant_id uuid, id uuid PRIMARY KEY)", "calls.notes: row-level security"),
        ("CREATE TABLE calls.notes (tenant_id uuid, id uuid PRIMARY KEY)", "notes_pkey does not begin with tenant_id"),
        ("CREATE TABLE calls.notes (tenant uuid)", "calls.notes: columns tenant but"),
        ("CREATE VIEW calls.peek AS SELECT tenant_id FROM calls.inbox", "calls.peek: columns tenant_id but"),
    ],
)
async def test_a_table_that_is_not_isolated_is_found(
    admin: asyncpg.Connection[asyncpg.Record], sabotage: str, complaint: str
) -> None:
    await admin.execute(sabotage)
    gaps = await isolation_gaps(admin)
    assert any(complaint in gap for gap in gaps), gaps


@pytest.mark.parametrize(
    ("sabotage", "complaint"),
    [
        ("ALTER TABLE calls.inbox OWNER TO call_orchestrator", "call_orchestrator owns calls.inbox"),
        ("GRANT TRUNCATE ON calls.inbox TO call_orchestrator", "call_orchestrator has TRUNCATE on calls.inbox"),
        ("GRANT REFERENCES ON calls.inbox TO call_orchestrator", "call_orchestrator has REFERENCES on calls.inbox"),
        ("GRANT SELECT ON calls.inbox TO tenant_svc", "tenant_svc has SELECT on calls.inbox"),
        ("GRANT SELECT ON calls.inbox TO PUBLIC", "PUBLIC has SELECT on calls.inbox"),
        ("GRANT UPDATE ON calls.inbox TO ops", "ops has UPDATE on calls.inbox"),
        ("GRANT CREATE ON SCHEMA calls TO call_orchestrator", "call_orchestrator may create things in schema calls"),
        ("GRANT USAGE ON SCHEMA calls TO rag_svc", "rag_svc may use schema calls"),
    ],
)
async def test_a_role_with_too_many_rights_is_found(
    admin: asyncpg.Connection[asyncpg.Record], sabotage: str, complaint: str
) -> None:
    await admin.execute(sabotage)
    assert complaint in await role_gaps(admin)


@pytest.mark.parametrize(
    ("sabotage", "complaint"),
    [
        ("ALTER ROLE rag_svc BYPASSRLS", "rag_svc has BYPASSRLS"),
        ("ALTER ROLE rag_svc SUPERUSER", "rag_svc has an attribute of an administrator"),
        ("GRANT calls_definer TO rag_svc", "rag_svc is a member of calls_definer"),
        ("ALTER ROLE calls_owner LOGIN", "calls_owner may log in"),
    ],
)
async def test_a_dangerous_attribute_of_a_role_is_found(
    admin: asyncpg.Connection[asyncpg.Record], sabotage: str, complaint: str
) -> None:
    transaction = admin.transaction()  # roles belong to the whole server, which other tests use as well
    await transaction.start()
    await admin.execute(sabotage)
    gaps = await role_gaps(admin)
    await transaction.rollback()
    assert complaint in gaps


FUNCTION = (
    "CREATE FUNCTION calls.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM calls.inbox'"
)


@pytest.mark.parametrize(
    "complaint",
    [
        "calls.peek() is SECURITY DEFINER and not on the list",
        "calls.peek() may be executed by everybody; use definer_function()",
        "calls.peek(): its search_path must be locked, SET search_path = pg_catalog, pg_temp",
        "calls.peek() belongs to postgres; use definer_function()",
    ],
)
async def test_a_function_that_sees_too_much_is_found(
    admin: asyncpg.Connection[asyncpg.Record], complaint: str
) -> None:
    await admin.execute(FUNCTION)
    assert complaint in await function_gaps(admin, LISTED)


async def test_a_listed_function_that_does_not_exist_is_found(admin: asyncpg.Connection[asyncpg.Record]) -> None:
    gaps = await function_gaps(admin, [*LISTED, "calls.gone()"])
    assert "calls.gone() is on the list but not in the database" in gaps
