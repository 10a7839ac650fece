"""Makes the roles and schemas. Everything may be run again at any time, on a database in any state it left behind."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets

import asyncpg

from switchboard.db import Connection
from switchboard.migrate.schemas import OPS, SCHEMAS, Schema
from switchboard.migrate.settings import Passwords

_ATTEMPTS = 20


async def prepare(conn: Connection, passwords: Passwords) -> None:
    """Roles, schemas, extensions and what they may do, by a superuser's connection."""
    database = str(await conn.fetchval("SELECT quote_ident(current_database())"))
    await _execute(conn, f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC;")
    await _login(conn, OPS, "BYPASSRLS", passwords.of(OPS))
    await _execute(conn, f"GRANT CONNECT ON DATABASE {database} TO {OPS};")
    for schema in SCHEMAS:
        await _schema(conn, schema, database, passwords.of(schema.service))


async def _schema(conn: Connection, schema: Schema, database: str, password: str) -> None:
    await _role(conn, schema.owner, "NOLOGIN NOBYPASSRLS")
    await _role(conn, schema.definer, "NOLOGIN BYPASSRLS")
    await _login(conn, schema.service, "NOBYPASSRLS", password)
    for extension in schema.extensions:
        await _execute(conn, f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public")
    await _execute(
        conn,
        f"""
CREATE SCHEMA IF NOT EXISTS {schema.name} AUTHORIZATION {schema.owner};
REVOKE ALL ON SCHEMA {schema.name} FROM PUBLIC;
GRANT USAGE ON SCHEMA {schema.name} TO {schema.service}, {schema.definer}, {OPS};
GRANT CONNECT ON DATABASE {database} TO {schema.service};
ALTER DEFAULT PRIVILEGES FOR ROLE {schema.owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT {schema.definer} TO {schema.owner} WITH INHERIT FALSE, SET TRUE;
ALTER ROLE {schema.service} SET search_path = {schema.name}, public;
""",
    )


async def _role(conn: Connection, name: str, attributes: str) -> None:
    await _execute(
        conn,
        f"DO $$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    )
    await _execute(conn, f"ALTER ROLE {name} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION {attributes}")


async def _login(conn: Connection, name: str, attributes: str, password: str) -> None:
    verifier = scram_verifier(password, secrets.token_bytes(16))
    await _role(conn, name, f"LOGIN {attributes} PASSWORD '{verifier}'")


def scram_verifier(password: str, salt: bytes, iterations: int = 4096) -> str:
    """What PostgreSQL stores for ``password`` (RFC 5802), so that the password is never in a statement or a log."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


async def _execute(conn: Connection, statement: str) -> None:
    """Execute; roles belong to the whole server, so runs on two of its databases may meet on a role's row."""
    for attempt in range(_ATTEMPTS):
        try:
            await conn.execute(statement)
        except asyncpg.InternalServerError as error:
            if "concurrently updated" not in str(error) or attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.05)  # not waiting for a result: stepping out of the other run's way
        else:
            return
