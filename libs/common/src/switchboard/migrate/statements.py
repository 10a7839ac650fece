"""SQL that every schema shares: isolation of a tenant's table, narrow look-ups, outbox, inbox."""

from __future__ import annotations

from switchboard.migrate.schemas import OPS, schema_named

TENANT_PREDICATE = "tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid"
"""After a transaction the setting is '' and not NULL, and ''::uuid is an error; with NULLIF no tenant means no rows."""

POLICY = "tenant_isolation"
LOCKED_SEARCH_PATH = "pg_catalog, pg_temp"


def tenant_table(schema: str, table: str, *, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> str:
    """SQL that isolates ``schema.table`` by its ``tenant_id`` and lets the service use it; goes after CREATE TABLE.

    ``grants`` may be less (an audit log: ``SELECT, INSERT``), never TRUNCATE or REFERENCES, which pass by the policy.
    """
    name = f"{schema}.{table}"
    return f"""
ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {name} FORCE ROW LEVEL SECURITY;
CREATE POLICY {POLICY} ON {name} FOR ALL TO PUBLIC USING ({TENANT_PREDICATE}) WITH CHECK ({TENANT_PREDICATE});
{platform_table(schema, table, grants=grants)}"""


def platform_table(schema: str, table: str, *, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> str:
    """SQL that lets the service use ``schema.table``, which has no tenant (and no ``tenant_id`` column)."""
    name = f"{schema}.{table}"
    return f"""
REVOKE ALL ON {name} FROM PUBLIC;
GRANT {grants} ON {name} TO {schema_named(schema).service};
GRANT SELECT ON {name} TO {OPS};
"""


def definer_function(schema: str, signature: str) -> str:
    """SQL that makes ``schema.signature`` a narrow look-up across tenants; goes after CREATE FUNCTION.

    ``signature`` is name and argument types, ``session_tenant(bytea)``. The function must be written
    ``SECURITY DEFINER SET search_path = pg_catalog, pg_temp`` with every name qualified. It runs as the schema's
    definer role, which row-level security doesn't bind and which has no right but those a migration grants it by table
    and column (``GRANT SELECT (tenant_id, token_hash) ON tenancy.sessions TO tenancy_definer``). To change one later,
    drop and create it: the owner of the schema may drop it, but not replace it.
    """
    roles = schema_named(schema)
    name = f"{schema}.{signature}"
    return f"""
GRANT CREATE ON SCHEMA {schema} TO {roles.definer};
ALTER FUNCTION {name} OWNER TO {roles.definer};
REVOKE CREATE ON SCHEMA {schema} FROM {roles.definer};
SET LOCAL ROLE {roles.definer};
REVOKE ALL ON FUNCTION {name} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {name} TO {roles.service};
SET LOCAL ROLE {roles.owner};
"""
