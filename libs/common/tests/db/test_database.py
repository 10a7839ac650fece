from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from switchboard.db import Database, DirtyConnection
from switchboard.errors import InvalidId, Unavailable
from switchboard.settings import DatabaseSettings
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

A, B = uuid4(), uuid4()
SEEN = "SELECT count(*) FROM calls.inbox"


@asynccontextmanager
async def opened(migrated: MigratedDatabase, **changes: object) -> AsyncIterator[Database]:
    settings = migrated.settings("call_orchestrator").model_copy(update=changes)
    async with Database.open(settings, name="test") as db:
        yield db


async def put(db: Database, tenant_id: UUID) -> None:
    async with db.tenant(tenant_id) as conn:
        await conn.execute("INSERT INTO calls.inbox VALUES ($1, 'c', $2)", tenant_id, uuid4())


async def test_a_tenant_sees_its_own_rows_and_no_other(migrated: MigratedDatabase) -> None:
    async with opened(migrated, max_pool=1) as db:  # one connection, so that a leak would show
        await put(db, A)
        for tenant_id, count in ((A, 1), (B, 0), (A, 1)):
            async with db.tenant(tenant_id) as conn:
                assert await conn.fetchval(SEEN) == count
        async with db.platform() as conn:
            assert await conn.fetchval(SEEN) == 0


async def test_an_error_rolls_everything_back(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        with pytest.raises(RuntimeError):
            async with db.tenant(A) as conn:
                await conn.execute("INSERT INTO calls.inbox VALUES ($1, 'c', $2)", A, uuid4())
                raise RuntimeError
        async with db.tenant(A) as conn:
            assert await conn.fetchval(SEEN) == 0


async def test_a_connection_that_still_has_a_tenant_is_refused_and_thrown_away(
    migrated: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with a pooler whose reset query somebody has blanked.
    monkeypatch.setattr(asyncpg.Connection, "get_reset_query", lambda _self: "")
    async with opened(migrated, max_pool=1) as db:
        await put(db, A)
        async with db.tenant(B) as conn:
            await conn.execute("SELECT set_config('app.tenant_id', $1, false)", str(A))
        with pytest.raises(DirtyConnection):
            async with db.platform() as conn:
                await conn.fetchval(SEEN)
        async with db.platform() as conn:
            assert await conn.fetchval(SEEN) == 0


@pytest.mark.parametrize("hostile", ["' OR true --", str(A), None, 7])
async def test_only_ids_become_tenants(migrated: MigratedDatabase, hostile: object) -> None:
    async with opened(migrated) as db:
        with pytest.raises(InvalidId):
            async with db.tenant(hostile):  # type: ignore[arg-type]
                pass


async def test_vector_search_keeps_scanning_and_only_in_its_transaction(migrated: MigratedDatabase) -> None:
    async with opened(migrated, max_pool=1) as db:
        async with db.tenant(A, vector=True) as conn:
            assert await conn.fetchval("SHOW hnsw.iterative_scan") == "relaxed_order"
        async with db.tenant(A) as conn:
            assert await conn.fetchval("SELECT current_setting('hnsw.iterative_scan', true)") != "relaxed_order"


async def test_a_parameter_holds_in_every_session_and_is_not_reset_between_its_users(
    migrated: MigratedDatabase,
) -> None:
    asked = {"plan_cache_mode": "force_generic_plan"}
    async with Database.open(migrated.settings("call_orchestrator", 1), name="test", parameters=asked) as db:
        for _ in range(2):
            async with db.platform() as conn:
                assert await conn.fetchval("SHOW plan_cache_mode") == "force_generic_plan"


async def test_json_travels_as_values(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db, db.platform() as conn:
        assert await conn.fetchval("SELECT $1::jsonb", {"a": [1, None, "é"]}) == {"a": [1, None, "é"]}


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(migrated: MigratedDatabase) -> None:
    async with opened(migrated, statement_timeout_s=0.05) as db:
        with pytest.raises(asyncpg.QueryCanceledError):
            async with db.platform() as conn:
                await conn.execute("SELECT pg_sleep(30)")


async def test_a_pool_with_nothing_left_says_unavailable(migrated: MigratedDatabase) -> None:
    async with opened(migrated, max_pool=1, acquire_timeout_s=0.5) as db, db.platform():
        with pytest.raises(Unavailable):
            async with db.platform():
                pass


async def test_a_server_that_is_not_there_says_unavailable_without_the_password() -> None:
    settings = DatabaseSettings(dsn=SecretStr("postgresql://tenant_svc:hunter2@127.0.0.1:1/none"), min_pool=1)
    with pytest.raises(Unavailable) as caught:
        async with Database.open(settings, name="test"):
            pass
    assert "hunter2" not in str(caught.value)


async def test_closing_does_not_wait_for_a_borrower_that_never_returns(migrated: MigratedDatabase) -> None:
    borrowed = asyncio.Event()

    async def borrow(db: Database) -> None:
        async with db.platform():
            borrowed.set()
            await asyncio.Event().wait()

    async with opened(migrated, acquire_timeout_s=0.2) as db:
        task = asyncio.create_task(borrow(db))
        await borrowed.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_recovers_after_the_server_has_cut_its_connections(migrated: MigratedDatabase) -> None:
    async with opened(migrated, max_pool=2) as db:
        await put(db, A)
        admin = await asyncpg.connect(migrated.admin_dsn)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await admin.close()
        await recovered(db)


async def recovered(db: Database) -> None:
    """A cut connection is noticed when it is next used; that use fails, the one after gets a new connection."""
    for _ in range(3):
        try:
            await db.ready()
        except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError):
            continue
        return
    raise AssertionError("the pool did not recover")
