"""Rows for tables that the test knows nothing about."""

from __future__ import annotations

from uuid import UUID

from switchboard.db import Connection
from switchboard.testing.catalogue import Table

COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, t.typcategory AS category,
       a.attidentity <> '' AS identity,
       (SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1) AS label
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""
CHECKS = "SELECT conname FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'c'"

_LITERALS = {
    "uuid": "gen_random_uuid()",
    "text": "md5(random()::text)",
    "bytea": "uuid_send(gen_random_uuid())",
    "jsonb": "'{}'::jsonb",
    "json": "'{}'::json",
    "date": "current_date",
    "inet": "'10.0.0.1'",
    "cidr": "'10.0.0.0/8'",
    "tsvector": "to_tsvector('x')",
    "interval": "'1 hour'",
}
_BY_CATEGORY = {
    "B": "true",
    "N": "1",
    "S": "'x'",
    "A": "'{}'",
    "D": "'2026-01-01 10:00'",
    "T": "'1 hour'",
    "R": "'empty'",
}


def _literal(kind: str, category: str, label: str | None) -> str:
    if label is not None:
        return f"'{label}'"
    if kind in _LITERALS:
        return _LITERALS[kind]
    if kind.startswith(("vector(", "halfvec(")):
        size = int(kind.rpartition("(")[2].rstrip(")"))
        return f"array_fill(1, ARRAY[{size}])::{kind}"
    if category in _BY_CATEGORY:
        return f"{_BY_CATEGORY[category]}::{kind}"
    raise ValueError(f"switchboard.testing.rows knows no value of type {kind}; add one")


async def insert_statement(admin: Connection, table: Table) -> str:
    """An INSERT of one row with made-up values; ``$1`` is the tenant (uuid)."""
    columns = await admin.fetch(COLUMNS, table.full)
    names, values = [], []
    for column in columns:
        if column["identity"]:
            continue
        names.append(f'"{column["name"]}"')
        category = column["category"].decode()
        literal = _literal(column["type"], category, column["label"])
        values.append("$1" if column["name"] == "tenant_id" else literal)
    return f"INSERT INTO {table.full} ({', '.join(names)}) VALUES ({', '.join(values)})"


async def fill(admin: Connection, table: Table, tenant_id: UUID) -> str:
    """Put one row of ``tenant_id`` into ``table``, past its checks, keys to other tables and triggers; the INSERT used.

    For copies of a database only: the table's check constraints are gone afterwards.
    """
    for row in await admin.fetch(CHECKS, table.full):
        await admin.execute(f'ALTER TABLE {table.full} DROP CONSTRAINT "{row["conname"]}"')
    statement = await insert_statement(admin, table)
    await admin.execute("SET session_replication_role = replica")
    await admin.execute(statement, tenant_id)
    await admin.execute("RESET session_replication_role")
    return statement
