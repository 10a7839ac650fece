"""Whose key and whose session it is also says whether that tenant is suspended."""

from __future__ import annotations

from switchboard.migrate import definer_function, sql

revision = "0011"
down_revision = "0010"

# Services of before read the columns that they know, by name.
API_KEY = """
DROP FUNCTION tenancy.api_key(uuid);
CREATE FUNCTION tenancy.api_key(p_id uuid)
RETURNS TABLE (tenant_id uuid, secret_sha256 bytea, roles text[], last_used_at timestamptz, scopes text[],
               expires_at timestamptz, suspended boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT k.tenant_id, k.secret_sha256, k.roles, k.last_used_at, k.scopes, k.expires_at, t.status = 'suspended'
  FROM tenancy.api_keys AS k JOIN tenancy.tenants AS t ON t.tenant_id = k.tenant_id
  WHERE k.id = p_id AND k.revoked_at IS NULL
$body$;
"""

SESSION = """
DROP FUNCTION tenancy.session(bytea, timestamptz);
CREATE FUNCTION tenancy.session(p_token_sha256 bytea, p_now timestamptz)
RETURNS TABLE (id uuid, account_id uuid, stage text, last_seen_at timestamptz, expires_at timestamptz, tenant_id uuid,
               role text, suspended boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT s.id, s.account_id, s.stage, s.last_seen_at, s.expires_at, o.tenant_id, COALESCE(m.role, l.role),
    COALESCE(o.status = 'suspended', false)
  FROM tenancy.sessions AS s
  JOIN tenancy.accounts AS a ON a.id = s.account_id AND a.disabled_at IS NULL
  LEFT JOIN tenancy.session_tenants AS t ON t.session_id = s.id
  LEFT JOIN tenancy.members AS m ON m.tenant_id = t.tenant_id AND m.account_id = s.account_id
  LEFT JOIN LATERAL (
    SELECT g.tenant_id, 'support' AS role FROM tenancy.support_accesses AS g
    WHERE a.support AND g.tenant_id = t.tenant_id AND g.ended_at IS NULL AND g.expires_at > p_now LIMIT 1
  ) AS l ON true
  LEFT JOIN tenancy.tenants AS o ON o.tenant_id = COALESCE(m.tenant_id, l.tenant_id)
  WHERE s.token_sha256 = p_token_sha256 AND s.ended_at IS NULL
$body$;
"""


def upgrade() -> None:
    sql(API_KEY + SESSION)
    sql(definer_function("tenancy", "api_key(uuid)"))
    sql(definer_function("tenancy", "session(bytea, timestamptz)"))
