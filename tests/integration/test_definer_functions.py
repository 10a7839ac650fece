"""What runs with more rights than its caller really runs: each listed function, on rows, as the service that may call it.

The bodies in PL/pgSQL are only looked at when they run, and the definer's rights are granted column by column.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from switchboard.db import Database
from switchboard.migrate import SCHEMAS
from switchboard.repeats import SCHEMAS as REPEATS
from switchboard.testing.catalogue import listed_functions, tenant_tables
from switchboard.testing.database import MigratedDatabase
from switchboard.testing.rows import fill

pytestmark = pytest.mark.integration

LISTED = listed_functions(Path(__file__).with_name("security_definer.txt"))
SERVICE_OF = {schema.name: schema.service for schema in SCHEMAS}
TENANT = uuid4()

NOW = "clock_timestamp()"
_MAILBOXES = {
    "inbox_prune(interval)": "inbox_prune('0')",
    "outbox_backlog()": "outbox_backlog()",
    "outbox_claim(integer)": "outbox_claim(10)",
    "outbox_prune(interval)": "outbox_prune('0')",
    "outbox_requeue(timestamp with time zone)": "outbox_requeue('-infinity')",
    "outbox_settle(bigint[], bigint[], interval, interval)": "outbox_settle('{1}', '{2}', '1 s', '1 min')",
}
CALLS = {f"{schema}.{name}": f"{schema}.{call}" for schema in SERVICE_OF for name, call in _MAILBOXES.items()} | {
    "calls.call_by_room(text, uuid)": f"calls.call_by_room('RM_1', '{TENANT}')",
    "calls.live_calls()": "calls.live_calls()",
    "calls.unmatched_open(uuid, text, text, text, text, text, text, text, timestamp with time zone)": (
        f"calls.unmatched_open('{TENANT}', 'RM_1', 's', 'platform', NULL, '+34910000001', NULL, 'unknown_number', {NOW})"
    ),
    "calls.unmatched_list(timestamp with time zone, integer)": "calls.unmatched_list('infinity', 10)",
    "calls.unmatched_prune(interval)": "calls.unmatched_prune('-1 day')",
    "calls.erase_tenant(uuid)": f"calls.erase_tenant('{TENANT}')",
    **{f"{schema}.repeats_prune(timestamp with time zone)": f"{schema}.repeats_prune({NOW})" for schema in REPEATS},
    "tenancy.api_key(uuid)": f"tenancy.api_key('{TENANT}')",
    "tenancy.session(bytea, timestamp with time zone)": f"tenancy.session('\\x00', {NOW})",
    "tenancy.tenants_of(uuid, timestamp with time zone)": f"tenancy.tenants_of('{TENANT}', {NOW})",
    "tenancy.invitation(uuid)": f"tenancy.invitation('{TENANT}')",
    "tenancy.number_taken(text, text, text)": "tenancy.number_taken('platform', '+34910000001', NULL)",
    "tenancy.published_snapshots(uuid, integer)": "tenancy.published_snapshots('00000000-0000-0000-0000-000000000000', 9)",
    "tenancy.wrapped_keys(uuid, integer)": "tenancy.wrapped_keys('00000000-0000-0000-0000-000000000000', 9)",
    "tenancy.tenants_overview(uuid, integer)": "tenancy.tenants_overview('00000000-0000-0000-0000-000000000000', 9)",
    "tenancy.trunks_of_cell(text)": "tenancy.trunks_of_cell('default')",
    "tenancy.audited_tenants(uuid, integer)": "tenancy.audited_tenants('00000000-0000-0000-0000-000000000000', 9)",
    "tenancy.erase_tenant(uuid)": f"tenancy.erase_tenant('{TENANT}')",
    "knowledge.erase_tenant(uuid)": f"knowledge.erase_tenant('{TENANT}')",
}


def test_there_is_a_call_of_every_listed_function() -> None:
    assert set(CALLS) == set(LISTED)


async def filled(migrated: MigratedDatabase) -> None:
    """A row of the tenant in every table."""
    admin = await asyncpg.connect(migrated.admin_dsn)
    try:
        for table in await tenant_tables(admin):
            await fill(admin, table, TENANT)
        await admin.execute("UPDATE calls.calls SET decision = '{\"max_call_seconds\": 900}'")
    finally:
        await admin.close()


@pytest.mark.parametrize("schema", SERVICE_OF)
async def test_every_listed_function_runs(migrated: MigratedDatabase, schema: str) -> None:
    await filled(migrated)
    failed = []
    async with Database.open(migrated.settings(SERVICE_OF[schema]), name="definers") as db:
        for name in (name for name in LISTED if name.startswith(f"{schema}.")):
            try:
                async with db.tenant(TENANT) as conn:
                    await conn.fetch(f"SELECT * FROM {CALLS[name]}")
                    raise LookupError  # each on the same rows
            except LookupError:
                continue
            except asyncpg.PostgresError as error:
                failed.append(f"{name}: {error}")
    assert failed == []


async def test_a_function_that_misses_a_right_is_found(migrated: MigratedDatabase) -> None:
    await filled(migrated)
    admin = await asyncpg.connect(migrated.admin_dsn)
    await admin.execute("REVOKE DELETE ON calls.turns FROM calls_definer")
    await admin.close()
    async with Database.open(migrated.settings("call_orchestrator"), name="definers") as db:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.tenant(TENANT) as conn:
                await conn.fetch(f"SELECT * FROM {CALLS['calls.erase_tenant(uuid)']}")
