"""Runs alembic for every schema whose migrations are installed, one run at a time."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from switchboard.migrate.roles import prepare
from switchboard.migrate.schemas import SCHEMAS, Schema
from switchboard.migrate.settings import MigrateFragment

ENTRY_POINTS = "switchboard.migrations"
_ENVIRONMENT = Path(__file__).with_name("alembic_env")
_LOCK = 0x5357_4954_4348  # "SWITCH": one run at a time on a database
_LOOK_AGAIN_S = 0.1  # asked by polling: nothing tells that another session has let go of a lock


class MigrationError(Exception):
    """The run stopped; says at which schema and why. What was applied before it stays applied."""


def sql(statements: str) -> None:
    """Execute raw SQL, any number of statements, in the migration's transaction. Colons and percents mean nothing."""
    bind = op.get_bind()
    # SQLAlchemy begins the migration's transaction with the first statement that it knows of.
    bind.exec_driver_sql("SELECT 1")
    raw = bind.connection.dbapi_connection
    assert raw is not None
    raw.run_async(lambda conn: conn.execute(statements))


def concurrent_index(name: str, definition: str, *, unique: bool = False) -> None:
    """An index on a table that may be big, built while the service writes to it. Goes alone into a version file.

    ``name`` is ``schema.index``, ``definition`` what follows ``ON``. It runs outside of a transaction, so what stood before
    it in the file is committed. An attempt that failed leaves an invalid index, which the next one drops first. It waits
    for the transactions that are running, however long they last, and holds up nobody meanwhile.
    """
    schema, _, index = name.partition(".")
    kind = "UNIQUE INDEX" if unique else "INDEX"
    with op.get_context().autocommit_block():
        for statement in (
            "SET lock_timeout = 0",
            "SET statement_timeout = 0",
            f"DROP INDEX CONCURRENTLY IF EXISTS {schema}.{index}",
            f"CREATE {kind} CONCURRENTLY {index} ON {definition}",
            "RESET lock_timeout",
            "RESET statement_timeout",
        ):
            sql(statement)


def installed() -> dict[str, Path]:
    """Schema name -> folder of its version files, for every installed package that ships migrations."""
    found: dict[str, Path] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(entry.value)
        if spec is None or not spec.submodule_search_locations:
            raise MigrationError(f"{entry.name}: {entry.value} is named as its migrations but is not a package")
        found[entry.name] = Path(next(iter(spec.submodule_search_locations))) / "versions"
    return found


async def migrate(settings: MigrateFragment, folders: Mapping[str, Path] | None = None) -> dict[str, tuple[str, str]]:
    """Bring every schema to its newest version; schema -> (version before, version after), "" for none.

    Runs at the same time wait for each other. :class:`MigrationError` when one schema's migration fails.
    """
    versions = installed() if folders is None else dict(folders)
    unknown = versions.keys() - {schema.name for schema in SCHEMAS}
    if unknown:
        raise MigrationError(f"no such schema: {', '.join(sorted(unknown))}; switchboard.migrate.schemas lists them")
    dsn = settings.admin_dsn.get_secret_value()
    try:
        admin = await asyncpg.connect(dsn, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise MigrationError(f"can't connect with SWITCHBOARD_MIGRATE__ADMIN_DSN: {type(error).__name__}") from None
    try:
        await _alone(admin, settings.wait_s)
        await prepare(admin, settings.passwords)
        return {
            schema.name: await _upgrade(dsn, schema, versions[schema.name], settings)
            for schema in SCHEMAS
            if schema.name in versions
        }
    finally:
        await admin.close()


async def _alone(admin: asyncpg.Connection[asyncpg.Record], wait_s: float) -> None:
    if not await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        raise MigrationError("SWITCHBOARD_MIGRATE__ADMIN_DSN must log in as a superuser: it makes roles with BYPASSRLS")
    # Asked for again and again: a statement that waits for the lock would hold a snapshot, and the other run may be building
    # an index concurrently, which waits for every snapshot there is.
    try:
        async with asyncio.timeout(wait_s):
            while not await admin.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_AGAIN_S)
    except TimeoutError:
        raise MigrationError(f"another run has held the lock for {wait_s:g} s; is one stuck?") from None


async def _upgrade(dsn: str, schema: Schema, folder: Path, settings: MigrateFragment) -> tuple[str, str]:
    limits = {"lock_timeout": settings.lock_timeout_s, "statement_timeout": settings.statement_timeout_s}

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        conn: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            dsn,
            server_settings={
                "application_name": "migrate",
                **{key: str(int(seconds * 1000)) for key, seconds in limits.items()},
            },
        )
        await conn.execute(f"SET ROLE {schema.owner}")
        return conn

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as conn:
            return await conn.run_sync(_run_alembic, schema, folder)
    except MigrationError:
        raise
    except Exception as error:
        raise MigrationError(f"{schema.name}: {type(error).__name__}: {error}") from error
    finally:
        await engine.dispose()


def _run_alembic(connection: SyncConnection, schema: Schema, folder: Path) -> tuple[str, str]:
    config = Config()
    for option, value in {
        "script_location": str(_ENVIRONMENT),
        "version_locations": str(folder),
        "path_separator": "newline",
    }.items():
        config.set_main_option(option, value.replace("%", "%%"))
    config.attributes.update(connection=connection, schema=schema.name)
    before = _version(connection, schema)
    connection.rollback()  # alembic leaves transactions alone when it finds one open
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationError(f"{schema.name}: {error}") from error
    connection.commit()
    return before, _version(connection, schema)


def _version(connection: SyncConnection, schema: Schema) -> str:
    options: dict[str, Any] = {"version_table_schema": schema.name}
    return MigrationContext.configure(connection, opts=options).get_current_revision() or ""


def run(settings: MigrateFragment) -> dict[str, tuple[str, str]]:
    """:func:`migrate` for callers without a loop."""
    return asyncio.run(migrate(settings))
