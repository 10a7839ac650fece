"""Invitations, and the platform's support: let in by a tenant, for a while."""

from __future__ import annotations

from switchboard.migrate import definer_function, sql, tenant_table
from tenant_svc.migrations.erasing import erase_tenant

revision = "0009"
down_revision = "0008"

TABLES = """
ALTER TABLE tenancy.accounts ADD COLUMN support boolean NOT NULL DEFAULT false;

CREATE TABLE tenancy.invitations (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id uuid NOT NULL,
  email text NOT NULL CHECK (length(email) <= 254),
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'staff', 'read_only')),
  secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
  invited_by text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  accepted_at timestamptz,
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
-- An invitation is looked up before its tenant is known.
CREATE UNIQUE INDEX invitations_by_id ON tenancy.invitations (id);

CREATE TABLE tenancy.support_accesses (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id uuid NOT NULL,
  reason text NOT NULL CHECK (length(reason) <= 500),
  consented_by text NOT NULL,
  consented_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX support_accesses_in_force ON tenancy.support_accesses (expires_at) WHERE ended_at IS NULL;
"""

INVITATION = """
GRANT SELECT (tenant_id, id, email, role, secret_sha256, expires_at, accepted_at, revoked_at) ON tenancy.invitations
  TO tenancy_definer;

CREATE FUNCTION tenancy.invitation(p_id uuid)
RETURNS TABLE (tenant_id uuid, email text, role text, secret_sha256 bytea, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT i.tenant_id, i.email, i.role, i.secret_sha256, i.expires_at
  FROM tenancy.invitations AS i WHERE i.id = p_id AND i.accepted_at IS NULL AND i.revoked_at IS NULL
$body$;
"""

# As before, and the platform's support where a tenant has let it in and has not shown it out.
SESSION = """
GRANT SELECT (support) ON tenancy.accounts TO tenancy_definer;
GRANT SELECT (tenant_id, expires_at, ended_at) ON tenancy.support_accesses TO tenancy_definer;

DROP FUNCTION tenancy.session(bytea);
CREATE FUNCTION tenancy.session(p_token_sha256 bytea, p_now timestamptz)
RETURNS TABLE (id uuid, account_id uuid, stage text, last_seen_at timestamptz, expires_at timestamptz, tenant_id uuid,
               role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT s.id, s.account_id, s.stage, s.last_seen_at, s.expires_at, COALESCE(m.tenant_id, l.tenant_id),
    COALESCE(m.role, l.role)
  FROM tenancy.sessions AS s
  JOIN tenancy.accounts AS a ON a.id = s.account_id AND a.disabled_at IS NULL
  LEFT JOIN tenancy.session_tenants AS t ON t.session_id = s.id
  LEFT JOIN tenancy.members AS m ON m.tenant_id = t.tenant_id AND m.account_id = s.account_id
  LEFT JOIN LATERAL (
    SELECT g.tenant_id, 'support' AS role FROM tenancy.support_accesses AS g
    WHERE a.support AND g.tenant_id = t.tenant_id AND g.ended_at IS NULL AND g.expires_at > p_now LIMIT 1
  ) AS l ON true
  WHERE s.token_sha256 = p_token_sha256 AND s.ended_at IS NULL
$body$;
"""

TENANTS_OF = """
DROP FUNCTION tenancy.tenants_of(uuid);
CREATE FUNCTION tenancy.tenants_of(p_account uuid, p_now timestamptz)
RETURNS TABLE (tenant_id uuid, name text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT t.tenant_id, t.name, m.role
  FROM tenancy.members AS m JOIN tenancy.tenants AS t ON t.tenant_id = m.tenant_id
  WHERE m.account_id = p_account
  UNION
  SELECT t.tenant_id, t.name, 'support'
  FROM tenancy.support_accesses AS g JOIN tenancy.tenants AS t ON t.tenant_id = g.tenant_id
  WHERE g.ended_at IS NULL AND g.expires_at > p_now
    AND EXISTS (SELECT 1 FROM tenancy.accounts AS a WHERE a.id = p_account AND a.support)
    AND NOT EXISTS (SELECT 1 FROM tenancy.members AS m WHERE m.account_id = p_account AND m.tenant_id = t.tenant_id)
  ORDER BY 1
$body$;
"""

_ERASED = (
    "numbers",
    "trunk_numbers",
    "trunks",
    "holidays",
    "locations",
    "configurations",
    "api_keys",
    "memberships",
    "users",
    "session_tenants",
    "members",
    "invitations",
    "support_accesses",
    "data_keys",
    "audit",
    "audit_log",
    "audit_chains",
    "outbox",
    "inbox",
    "tenants",
)

_DEFINERS = (
    "invitation(uuid)",
    "session(bytea, timestamptz)",
    "tenants_of(uuid, timestamptz)",
    "erase_tenant(uuid)",
)


def upgrade() -> None:
    sql(TABLES)
    sql("".join(tenant_table("tenancy", table) for table in ("invitations", "support_accesses")))
    sql("GRANT DELETE ON tenancy.invitations, tenancy.support_accesses TO tenancy_definer;")
    sql(INVITATION + SESSION + TENANTS_OF + erase_tenant(_ERASED))
    sql("".join(definer_function("tenancy", name) for name in _DEFINERS))
