"""API keys with a name, scopes and an end. Those of before have the roles they were made with, and none."""

from __future__ import annotations

from switchboard.migrate import definer_function, sql

revision = "0007"
down_revision = "0006"

COLUMNS = """
ALTER TABLE tenancy.api_keys
  ADD COLUMN name text NOT NULL DEFAULT '',
  ADD COLUMN scopes text[] NOT NULL DEFAULT '{}',
  ADD COLUMN created_by text NOT NULL DEFAULT '',
  ADD COLUMN expires_at timestamptz;
GRANT SELECT (scopes, expires_at) ON tenancy.api_keys TO tenancy_definer;
"""

# Services of before read the columns that they know, by name.
API_KEY = """
DROP FUNCTION tenancy.api_key(uuid);
CREATE FUNCTION tenancy.api_key(p_id uuid)
RETURNS TABLE (tenant_id uuid, secret_sha256 bytea, roles text[], last_used_at timestamptz, scopes text[],
               expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT k.tenant_id, k.secret_sha256, k.roles, k.last_used_at, k.scopes, k.expires_at
  FROM tenancy.api_keys AS k WHERE k.id = p_id AND k.revoked_at IS NULL
$body$;
"""


def upgrade() -> None:
    sql(COLUMNS + API_KEY)
    sql(definer_function("tenancy", "api_key(uuid)"))
