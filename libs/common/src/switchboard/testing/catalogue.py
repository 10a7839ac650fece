"""What must be true of a migrated database, asked of PostgreSQL's own catalogue.

Each function returns one line per gap, naming it and the fix; an empty list means that all is well.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from switchboard.db import Connection
from switchboard.migrate import SCHEMAS, TENANT_PREDICATE
from switchboard.migrate.schemas import OPS
from switchboard.migrate.statements import LOCKED_SEARCH_PATH, POLICY

_SCHEMA_NAMES = [schema.name for schema in SCHEMAS]
_SERVICES = [schema.service for schema in SCHEMAS]
_DEFINERS = [schema.definer for schema in SCHEMAS]

TENANT_TABLES = """
SELECT n.nspname AS schema, c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, c.oid,
       r.rolname AS owner
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p')
  AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
ORDER BY 1, 2
"""
POLICIES = """
SELECT polname, polcmd, polpermissive, polroles = '{0}' AS everybody,
       pg_get_expr(polqual, polrelid) AS used, pg_get_expr(polwithcheck, polrelid) AS checked
FROM pg_policy WHERE polrelid = $1
"""
# Tables without tenant_id are allowed only when no column says that they hold something of a tenant under another name.
SUSPECT_TABLES = """
SELECT n.nspname || '.' || c.relname AS name, string_agg(a.attname, ', ') AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'm', 'v') AND NOT a.attisdropped AND a.attname LIKE '%tenant%'
  AND NOT EXISTS (SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id' AND c.relkind IN
  ('r', 'p'))
GROUP BY 1
"""
KEYS = """
SELECT n.nspname || '.' || c.relname AS name, con.conname, con.contype,
       (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = con.conrelid AND a.attnum = con.conkey[1]) AS first
FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1) AND (con.contype = 'p' OR (con.contype = 'f' AND EXISTS (
  SELECT 1 FROM pg_attribute t WHERE t.attrelid = con.confrelid AND t.attname = 'tenant_id')))
"""
OWNED = """
SELECT r.rolname AS role, n.nspname || '.' || c.relname AS what FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = ANY ($1)
UNION ALL SELECT r.rolname, p.oid::regprocedure::text FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
  WHERE r.rolname = ANY ($1)
UNION ALL SELECT r.rolname, 'schema ' || n.nspname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
  WHERE r.rolname = ANY ($1)
UNION ALL SELECT r.rolname, 'database ' || d.datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
  WHERE r.rolname = ANY ($1)
"""
ROLES = """
SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin,
       ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)
         AS groups
FROM pg_roles r WHERE rolname = ANY ($1)
"""
TABLE_GRANTS = """
SELECT g.grantee, g.table_schema || '.' || g.table_name AS name, g.table_schema AS schema, g.privilege_type
FROM information_schema.role_table_grants g
WHERE g.table_schema = ANY ($1) AND (g.grantee = ANY ($2) OR g.grantee = 'PUBLIC')
"""
SCHEMA_RIGHTS = """
SELECT r AS role, s AS schema, has_schema_privilege(r, s, 'CREATE') AS creates, has_schema_privilege(r, s, 'USAGE') AS
uses FROM unnest($1::text[]) AS r, unnest($2::text[]) AS s
"""
DEFINER_FUNCTIONS = """
SELECT n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name,
       n.nspname || '.' || p.proname || '(' || (SELECT coalesce(string_agg(format_type(t, NULL), ', ' ORDER BY i), '')
         FROM unnest(p.proargtypes) WITH ORDINALITY AS args (t, i)) || ')' AS signature,
       p.prosecdef AS definer, p.proconfig AS config, r.rolname AS owner, n.nspname AS schema,
       has_function_privilege('public', p.oid, 'EXECUTE') AS open,
       ARRAY(SELECT s FROM unnest($2::text[]) AS s WHERE has_function_privilege(s, p.oid, 'EXECUTE')) AS users
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
WHERE n.nspname = ANY ($1)
   OR (p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema'))
"""


@dataclass(frozen=True, slots=True)
class Table:
    schema: str
    name: str

    @property
    def full(self) -> str:
        return f"{self.schema}.{self.name}"


def _same_expression(left: str | None, right: str) -> bool:
    """PostgreSQL gives expressions back with its own brackets and casts."""

    def plain(text: str) -> str:
        return re.sub(r"::text|[\s()]", "", text).lower()

    return left is not None and plain(left) == plain(right)


async def tenant_tables(conn: Connection) -> list[Table]:
    """Every table with a ``tenant_id``."""
    return [Table(row["schema"], row["name"]) for row in await conn.fetch(TENANT_TABLES, _SCHEMA_NAMES)]


async def isolation_gaps(conn: Connection) -> list[str]:
    """Tables of a tenant without row-level security, without force, or with any policy but the one."""
    gaps: list[str] = []
    oids = []
    for row in await conn.fetch(TENANT_TABLES, _SCHEMA_NAMES):
        name = f"{row['schema']}.{row['name']}"
        oids.append(row["oid"])
        if not row["enabled"] or not row["forced"]:
            gaps.append(f"{name}: row-level security is not enabled and forced; use tenant_table()")
        policies = await conn.fetch(POLICIES, row["oid"])
        if [policy["polname"] for policy in policies] != [POLICY]:
            gaps.append(f"{name}: has policies {[p['polname'] for p in policies]}, wanted exactly {POLICY}")
        for policy in policies:
            exact = _same_expression(policy["used"], TENANT_PREDICATE) and _same_expression(
                policy["checked"], TENANT_PREDICATE
            )
            if not exact or policy["polcmd"] != b"*" or not policy["everybody"] or not policy["polpermissive"]:
                gaps.append(f"{name}: policy {policy['polname']} is not the one tenant_table() makes")
    for row in await conn.fetch(SUSPECT_TABLES, _SCHEMA_NAMES):
        gaps.append(f"{row['name']}: columns {row['columns']} but no table column tenant_id with its policy")
    for row in await conn.fetch(KEYS, oids):
        if row["first"] != "tenant_id":
            kind = "primary" if row["contype"] == b"p" else "foreign"
            gaps.append(f"{row['name']}: {kind} key {row['conname']} does not begin with tenant_id")
    return gaps


async def role_gaps(conn: Connection) -> list[str]:
    """Roles that own something or may do more than they need."""
    gaps = [f"{row['role']} owns {row['what']}" for row in await conn.fetch(OWNED, [*_SERVICES, OPS])]
    bypassing = {OPS, *_DEFINERS}
    logins = {OPS, *_SERVICES}
    owners = [schema.owner for schema in SCHEMAS]
    for row in await conn.fetch(ROLES, [*_SERVICES, *_DEFINERS, *owners, OPS]):
        role = row["rolname"]
        if row["rolsuper"] or row["rolcreaterole"] or row["rolcreatedb"] or row["rolreplication"]:
            gaps.append(f"{role} has an attribute of an administrator")
        if row["rolbypassrls"] and role not in bypassing:
            gaps.append(f"{role} has BYPASSRLS")
        if row["rolcanlogin"] != (role in logins):
            gaps.append(f"{role} may {'' if row['rolcanlogin'] else 'not '}log in")
        if row["groups"] and role in logins:
            gaps.append(f"{role} is a member of {', '.join(row['groups'])}")
    for row in await conn.fetch(TABLE_GRANTS, _SCHEMA_NAMES, [*_SERVICES, OPS]):
        own = next((schema.name for schema in SCHEMAS if schema.service == row["grantee"]), None)
        allowed = {"SELECT"} if row["grantee"] == OPS else {"SELECT", "INSERT", "UPDATE", "DELETE"}
        if row["privilege_type"] not in allowed or (row["grantee"] != OPS and row["schema"] != own):
            gaps.append(f"{row['grantee']} has {row['privilege_type']} on {row['name']}")
    for row in await conn.fetch(SCHEMA_RIGHTS, [*_SERVICES, OPS], [*_SCHEMA_NAMES, "public"]):
        own = next((schema.name for schema in SCHEMAS if schema.service == row["role"]), None)
        if row["creates"]:
            gaps.append(f"{row['role']} may create things in schema {row['schema']}")
        if row["uses"] and row["role"] != OPS and row["schema"] not in (own, "public"):
            gaps.append(f"{row['role']} may use schema {row['schema']}")
    return gaps


async def function_gaps(conn: Connection, listed: Collection[str]) -> list[str]:
    """Functions that run with more rights than their caller: unlisted, open to all, or with a search_path to play with.

    ``listed``: ``schema.name(type, type)``, types as PostgreSQL writes them.
    """
    gaps: list[str] = []
    found: set[str] = set()
    for row in await conn.fetch(DEFINER_FUNCTIONS, _SCHEMA_NAMES, [*_SERVICES, OPS]):
        name = row["signature"]
        home = next((schema for schema in SCHEMAS if schema.name == row["schema"]), None)
        if row["open"]:
            gaps.append(f"{name} may be executed by everybody; use definer_function()")
        if not row["definer"]:
            continue
        found.add(name)
        if name not in listed:
            gaps.append(f"{name} is SECURITY DEFINER and not on the list")
        if row["config"] != [f"search_path={LOCKED_SEARCH_PATH}"]:
            gaps.append(f"{name}: its search_path must be locked, SET search_path = {LOCKED_SEARCH_PATH}")
        if home is None or row["owner"] != home.definer:
            gaps.append(f"{name} belongs to {row['owner']}; use definer_function()")
        elif list(row["users"]) != [home.service]:
            gaps.append(f"{name} may be executed by {', '.join(row['users']) or 'nobody'}, wanted {home.service}")
    gaps += [f"{name} is on the list but not in the database" for name in sorted(set(listed) - found)]
    return gaps


def listed_functions(path: Path) -> list[str]:
    """The names in a list file: one a line, ``#`` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]
