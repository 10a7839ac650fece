"""Tenant A's connection can't see, change, remove or make tenant B's rows, in any table there is."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest
from fleet.prove import Tried
from switchboard.db import Database
from switchboard.migrate import SCHEMAS
from switchboard.testing.catalogue import Table, tenant_tables
from switchboard.testing.database import MigratedDatabase
from switchboard.testing.rows import fill

pytestmark = pytest.mark.integration

SERVICE_OF = {schema.name: schema.service for schema in SCHEMAS}
A, B = uuid4(), uuid4()


async def filled(migrated: MigratedDatabase) -> dict[Table, str]:
    """One row of tenant B in every tenant table; table -> the INSERT that made it."""
    admin = await asyncpg.connect(migrated.admin_dsn)
    try:
        return {table: await fill(admin, table, B) for table in await tenant_tables(admin)}
    finally:
        await admin.close()


async def affected(db: Database, statement: str) -> int:
    """Rows that a statement of tenant A touches; 0 when the service may not run it at all."""
    try:
        async with db.tenant(A) as conn:
            return int((await conn.execute(statement)).rpartition(" ")[2])
    except asyncpg.InsufficientPrivilegeError:
        return 0


@pytest.mark.parametrize("schema", [schema.name for schema in SCHEMAS])
async def test_nothing_of_another_tenant_can_be_reached(
    migrated: MigratedDatabase, schema: str, record_property: Tried
) -> None:
    tables = {table: insert for table, insert in (await filled(migrated)).items() if table.schema == schema}
    assert tables
    async with Database.open(migrated.settings(SERVICE_OF[schema]), name="isolation") as db:
        for table, insert in tables.items():
            count = f"SELECT count(*) FROM {table.full}"
            async with db.tenant(B) as conn:
                assert await conn.fetchval(count) == 1, f"{table.full}: its owner sees it"
            async with db.tenant(A) as conn:
                assert await conn.fetchval(count) == 0, f"{table.full}: seen by another tenant"
            async with db.platform() as conn:
                assert await conn.fetchval(count) == 0, f"{table.full}: seen without a tenant"
            assert await affected(db, f"UPDATE {table.full} SET tenant_id = tenant_id") == 0, table.full
            assert await affected(db, f"DELETE FROM {table.full}") == 0, table.full
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with db.tenant(A) as conn:
                    await conn.execute(insert, B)
    record_property("statements about another tenant's rows", 5 * len(tables))


async def test_a_service_can_not_reach_another_services_schema(migrated: MigratedDatabase) -> None:
    async with Database.open(migrated.settings("rag_svc"), name="isolation") as db:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.tenant(A) as conn:
                await conn.fetch("SELECT 1 FROM calls.inbox")
