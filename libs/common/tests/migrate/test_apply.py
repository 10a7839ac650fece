from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from switchboard.migrate import MigrationError, migrate
from switchboard.testing.database import MigratedDatabase, migrate_settings, migrated_database

pytestmark = pytest.mark.integration


async def applied(dsn: str, schema: str) -> list[str]:
    conn = await asyncpg.connect(dsn)
    try:
        return [row["version_num"] for row in await conn.fetch(f"SELECT version_num FROM {schema}.alembic_version")]
    finally:
        await conn.close()


def write(folder: Path, number: int, body: str) -> None:
    folder.mkdir(exist_ok=True)
    before = f'"{number - 1:04}"' if number > 1 else "None"
    (folder / f"{number:04}_step.py").write_text(
        "from switchboard.migrate import sql\n"
        f'revision = "{number:04}"\ndown_revision = {before}\n\n'
        f'def upgrade() -> None:\n    sql("""{body}""")\n'
    )


async def test_every_schema_goes_to_its_newest_version_and_a_second_run_changes_nothing(postgres_database: str) -> None:
    first = await migrate(migrate_settings(postgres_database))
    second = await migrate(migrate_settings(postgres_database))

    assert list(first) == ["tenancy", "calls", "knowledge"]
    assert all(before == "" and after for before, after in first.values())
    assert second == {schema: (after, after) for schema, (_, after) in first.items()}


async def test_of_two_runs_at_once_one_applies_and_the_other_finds_it_done(
    postgres_database: str, tmp_path: Path
) -> None:
    write(tmp_path / "v", 1, "CREATE TABLE tenancy.once (n int); SELECT pg_sleep(0.2);")
    settings = migrate_settings(postgres_database)

    runs = await asyncio.gather(*(migrate(settings, {"tenancy": tmp_path / "v"}) for _ in range(3)))

    assert sorted(run["tenancy"] for run in runs) == [("", "0001"), ("0001", "0001"), ("0001", "0001")]


async def test_raw_sql_may_hold_colons_percents_and_many_statements(postgres_database: str, tmp_path: Path) -> None:
    write(
        tmp_path / "v", 1, "CREATE TABLE tenancy.odd (t text DEFAULT ':c %s'); INSERT INTO tenancy.odd DEFAULT VALUES;"
    )

    await migrate(migrate_settings(postgres_database), {"tenancy": tmp_path / "v"})

    conn = await asyncpg.connect(postgres_database)
    assert await conn.fetchval("SELECT t FROM tenancy.odd") == ":c %s"
    await conn.close()


async def test_a_failing_migration_leaves_the_schema_as_it_was_and_says_why(
    postgres_database: str, tmp_path: Path
) -> None:
    settings = migrate_settings(postgres_database)
    write(tmp_path / "v", 1, "CREATE TABLE tenancy.good (n int);")
    await migrate(settings, {"tenancy": tmp_path / "v"})
    write(tmp_path / "v", 2, "CREATE TABLE tenancy.half (n int); SELECT 1/0;")

    with pytest.raises(MigrationError, match=r"tenancy: .*division by zero"):
        await migrate(settings, {"tenancy": tmp_path / "v"})

    assert await applied(postgres_database, "tenancy") == ["0001"]
    conn = await asyncpg.connect(postgres_database)
    assert await conn.fetchval("SELECT to_regclass('tenancy.half')") is None
    await conn.close()


async def test_a_migration_gives_up_when_a_table_stays_locked(postgres_database: str, tmp_path: Path) -> None:
    settings = migrate_settings(postgres_database).model_copy(update={"lock_timeout_s": 0.2})
    write(tmp_path / "v", 1, "CREATE TABLE tenancy.busy (n int);")
    await migrate(settings, {"tenancy": tmp_path / "v"})
    write(tmp_path / "v", 2, "ALTER TABLE tenancy.busy ADD COLUMN m int;")
    holder = await asyncpg.connect(postgres_database)
    await holder.execute("BEGIN; LOCK TABLE tenancy.busy")

    with pytest.raises(MigrationError, match="lock timeout"):
        await migrate(settings, {"tenancy": tmp_path / "v"})

    await holder.close()


async def test_a_statement_that_would_hold_its_locks_for_long_is_ended(postgres_database: str, tmp_path: Path) -> None:
    settings = migrate_settings(postgres_database).model_copy(update={"statement_timeout_s": 0.2})
    write(tmp_path / "v", 1, "CREATE TABLE tenancy.busy (n int); SELECT pg_sleep(60);")
    with pytest.raises(MigrationError, match="statement timeout"):
        await migrate(settings, {"tenancy": tmp_path / "v"})


async def test_a_login_that_is_not_a_superuser_is_told_so(postgres_database: str) -> None:
    database: MigratedDatabase = await migrated_database(postgres_database)

    with pytest.raises(MigrationError, match="superuser"):
        await migrate(migrate_settings(database.dsn("tenant_svc")))


async def test_an_unreachable_server_is_named_by_its_variable_without_the_password() -> None:
    with pytest.raises(MigrationError, match="SWITCHBOARD_MIGRATE__ADMIN_DSN") as caught:
        await migrate(migrate_settings("postgresql://postgres:hunter2@127.0.0.1:1/none"))
    assert "hunter2" not in str(caught.value)


async def test_the_services_roles_log_in_with_their_passwords(migrated: MigratedDatabase) -> None:
    for role in ("tenant_svc", "call_orchestrator", "rag_svc", "ops"):
        conn = await asyncpg.connect(migrated.dsn(role))
        assert await conn.fetchval("SELECT current_user") == role
        await conn.close()


INDEX = (
    "from switchboard.migrate import concurrent_index\n"
    'revision = "0002"\ndown_revision = "0001"\n\n'
    "def upgrade() -> None:\n    concurrent_index('tenancy.busy_by_n', 'tenancy.busy (n)')\n"
)


async def test_an_index_is_built_while_the_service_writes(postgres_database: str, tmp_path: Path) -> None:
    """Two runs at once beside a writer in mid-transaction: none waits for ever, and a second writer not at all."""
    settings = migrate_settings(postgres_database).model_copy(
        update={"lock_timeout_s": 1.0, "statement_timeout_s": 1.0}
    )
    write(
        tmp_path / "v", 1, "CREATE TABLE tenancy.busy (n int); INSERT INTO tenancy.busy SELECT generate_series(1, 1000)"
    )
    await migrate(settings, {"tenancy": tmp_path / "v"})
    (tmp_path / "v" / "0002_index.py").write_text(INDEX)
    writer, watcher = await asyncpg.connect(postgres_database), await asyncpg.connect(postgres_database)
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("INSERT INTO tenancy.busy VALUES (0)")

    runs = asyncio.gather(*(migrate(settings, {"tenancy": tmp_path / "v"}) for _ in range(2)))
    building = "SELECT count(*) FROM pg_stat_progress_create_index"
    while not await watcher.fetchval(building):
        await asyncio.sleep(0.01)
    await watcher.execute("INSERT INTO tenancy.busy VALUES (-1)")
    await writer.execute("SELECT pg_sleep(1.5)")  # longer than the limits, which don't hold for an index
    await transaction.commit()

    assert sorted(run["tenancy"] for run in await runs) == [("0001", "0002"), ("0002", "0002")]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'tenancy.busy_by_n'::regclass"
    assert await watcher.fetchval(valid) is True
    await writer.close()
    await watcher.close()


async def test_an_index_that_failed_half_way_is_built_again(postgres_database: str, tmp_path: Path) -> None:
    settings = migrate_settings(postgres_database)
    write(tmp_path / "v", 1, "CREATE TABLE tenancy.busy (n int); INSERT INTO tenancy.busy VALUES (1), (1)")
    await migrate(settings, {"tenancy": tmp_path / "v"})
    unique = INDEX.replace("(n)'", "(n)', unique=True")
    (tmp_path / "v" / "0002_index.py").write_text(unique)
    with pytest.raises(MigrationError, match="could not create unique index"):
        await migrate(settings, {"tenancy": tmp_path / "v"})
    assert await applied(postgres_database, "tenancy") == ["0001"]

    conn = await asyncpg.connect(postgres_database)
    await conn.execute("DELETE FROM tenancy.busy WHERE ctid = (SELECT min(ctid) FROM tenancy.busy)")
    await migrate(settings, {"tenancy": tmp_path / "v"})

    assert await applied(postgres_database, "tenancy") == ["0002"]
    assert (
        await conn.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'tenancy.busy_by_n'::regclass") is True
    )
    await conn.close()


async def test_versions_before_one_that_fails_stay(postgres_database: str, tmp_path: Path) -> None:
    settings = migrate_settings(postgres_database)
    write(tmp_path / "v", 1, "CREATE TABLE tenancy.first (n int)")
    write(tmp_path / "v", 2, "CREATE TABLE tenancy.second (n int)")
    write(tmp_path / "v", 3, "SELECT 1/0")
    with pytest.raises(MigrationError, match="division by zero"):
        await migrate(settings, {"tenancy": tmp_path / "v"})
    assert await applied(postgres_database, "tenancy") == ["0002"]


async def test_a_version_is_one_transaction_however_many_statements_it_has(
    postgres_database: str, tmp_path: Path
) -> None:
    settings = migrate_settings(postgres_database)
    write(tmp_path / "v", 1, "CREATE TABLE tenancy.good (n int)")
    write(tmp_path / "v", 2, 'CREATE TABLE tenancy.half (n int)""")\n    sql("""SELECT 1/0')
    with pytest.raises(MigrationError, match="division by zero"):
        await migrate(settings, {"tenancy": tmp_path / "v"})

    conn = await asyncpg.connect(postgres_database)
    assert await conn.fetchval("SELECT to_regclass('tenancy.half')") is None
    assert await conn.fetchval("SELECT to_regclass('tenancy.good')") is not None
    await conn.close()
