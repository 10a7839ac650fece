"""Migrated databases for tests."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from pydantic import SecretStr

from switchboard.migrate import SCHEMAS, migrate
from switchboard.migrate.settings import MigrateFragment, Passwords
from switchboard.settings import DatabaseSettings

# Roles belong to the whole server, so everything in one test process uses the same passwords.
PASSWORDS = {role: secrets.token_urlsafe(18) for role in ("ops", *(schema.service for schema in SCHEMAS))}


@dataclass(frozen=True, slots=True)
class MigratedDatabase:
    """A database with every schema at its newest version."""

    admin_dsn: str

    def dsn(self, role: str) -> str:
        """The address by which ``role`` (``tenant_svc``, ``call_orchestrator``, ``rag_svc``, ``ops``) logs in."""
        parts = urlsplit(self.admin_dsn)
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORDS[role]}@{place}"))

    def settings(self, role: str, max_pool: int = 4) -> DatabaseSettings:
        """What ``Database.open`` takes."""
        return DatabaseSettings(dsn=SecretStr(self.dsn(role)), min_pool=0, max_pool=max_pool)


def migrate_settings(admin_dsn: str) -> MigrateFragment:
    """What ``migrate`` takes, with this process's passwords."""
    passwords = Passwords.model_validate(PASSWORDS)
    return MigrateFragment(admin_dsn=SecretStr(admin_dsn), passwords=passwords)


async def migrated_database(admin_dsn: str) -> MigratedDatabase:
    """Migrate the empty database at ``admin_dsn`` (a superuser's address)."""
    await migrate(migrate_settings(admin_dsn))
    return MigratedDatabase(admin_dsn)


async def copy_of(template: MigratedDatabase) -> MigratedDatabase:
    """A database of its own with what ``template`` holds; nobody may be connected to the template."""
    name = f"test_{uuid.uuid4().hex}"
    parts = urlsplit(template.admin_dsn)
    await _at_server(template, f'CREATE DATABASE "{name}" TEMPLATE "{parts.path[1:]}"')
    return MigratedDatabase(urlunsplit(parts._replace(path=f"/{name}")))


async def drop(database: MigratedDatabase) -> None:
    name = urlsplit(database.admin_dsn).path[1:]
    await _at_server(database, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def create_empty(server_dsn: str) -> str:
    """A new empty database on the server at ``server_dsn``; its superuser's address."""
    parts = urlsplit(server_dsn)
    name = f"test_{uuid.uuid4().hex}"
    made = MigratedDatabase(urlunsplit(parts._replace(path=f"/{name}")))
    await _at_server(made, f'CREATE DATABASE "{name}"')
    return made.admin_dsn


async def _at_server(database: MigratedDatabase, statement: str) -> None:
    conn = await asyncpg.connect(urlunsplit(urlsplit(database.admin_dsn)._replace(path="/postgres")))
    try:
        await conn.execute(statement)
    finally:
        await conn.close()
