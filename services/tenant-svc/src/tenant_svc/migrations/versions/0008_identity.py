"""People: accounts, sessions, links sent by mail, the mail itself; and what they are in a tenant.

An account, its sessions and its links belong to no tenant: one person may be in several. Which tenant a session is in, and
who is a member of a tenant, is that tenant's, under row-level security. ``tenancy.users`` and ``tenancy.memberships`` are
from before there were accounts; nothing writes them any more.
"""

from __future__ import annotations

from switchboard.migrate import definer_function, platform_table, sql, tenant_table
from tenant_svc.migrations.erasing import erase_tenant

revision = "0008"
down_revision = "0007"

ACCOUNTS = """
CREATE TABLE tenancy.accounts (
  id uuid PRIMARY KEY,
  email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
  password_hash text,
  totp_secret_sealed bytea,
  totp_confirmed_at timestamptz,
  totp_step bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  disabled_at timestamptz,
  CHECK (totp_confirmed_at IS NULL OR totp_secret_sealed IS NOT NULL)
);
CREATE UNIQUE INDEX accounts_by_email ON tenancy.accounts (lower(email));

CREATE TABLE tenancy.recovery_codes (
  account_id uuid NOT NULL REFERENCES tenancy.accounts (id) ON DELETE CASCADE,
  code_sha256 bytea NOT NULL CHECK (length(code_sha256) = 32),
  PRIMARY KEY (account_id, code_sha256)
);

CREATE TABLE tenancy.links (
  id uuid PRIMARY KEY,
  purpose text NOT NULL CHECK (purpose IN ('sign_up', 'sign_in', 'reset', 'nothing')),
  secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
  browser_sha256 bytea NOT NULL CHECK (length(browser_sha256) = 32),
  email text NOT NULL CHECK (length(email) <= 254),
  password_hash text,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX links_by_email ON tenancy.links (lower(email), created_at);

CREATE TABLE tenancy.sessions (
  id uuid PRIMARY KEY,
  token_sha256 bytea NOT NULL CHECK (length(token_sha256) = 32),
  account_id uuid NOT NULL REFERENCES tenancy.accounts (id) ON DELETE CASCADE,
  stage text NOT NULL CHECK (stage IN ('second_factor', 'full')),
  attempts integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  ip text NOT NULL,
  user_agent text NOT NULL
);
CREATE UNIQUE INDEX sessions_by_token ON tenancy.sessions (token_sha256);
CREATE INDEX sessions_by_account ON tenancy.sessions (account_id);

CREATE TABLE tenancy.mails (
  id uuid PRIMARY KEY,
  body_sealed bytea,
  created_at timestamptz NOT NULL,
  not_after timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL,
  done_at timestamptz,
  outcome text CHECK (outcome IN ('sent', 'refused', 'too_late'))
);
CREATE INDEX mails_waiting ON tenancy.mails (next_at) WHERE done_at IS NULL;
"""

MEMBERS = """
CREATE TABLE tenancy.members (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  account_id uuid NOT NULL REFERENCES tenancy.accounts (id),
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'staff', 'read_only')),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, account_id)
);
CREATE INDEX members_by_account ON tenancy.members (account_id);

CREATE TABLE tenancy.session_tenants (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  session_id uuid NOT NULL REFERENCES tenancy.sessions (id) ON DELETE CASCADE,
  chosen_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, session_id)
);
-- A session is in one tenant; in another one it is another session.
CREATE UNIQUE INDEX session_tenants_by_session ON tenancy.session_tenants (session_id);
"""

# Whose a presented session is, which tenant it is in, and what its account is there today: a member that was removed is
# without a tenant at its next request.
SESSION = """
GRANT SELECT (id, token_sha256, account_id, stage, last_seen_at, expires_at, ended_at) ON tenancy.sessions
  TO tenancy_definer;
GRANT SELECT (id, disabled_at) ON tenancy.accounts TO tenancy_definer;
GRANT SELECT (tenant_id, account_id, role) ON tenancy.members TO tenancy_definer;
GRANT SELECT (tenant_id, session_id) ON tenancy.session_tenants TO tenancy_definer;

CREATE FUNCTION tenancy.session(p_token_sha256 bytea)
RETURNS TABLE (id uuid, account_id uuid, stage text, last_seen_at timestamptz, expires_at timestamptz, tenant_id uuid,
               role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT s.id, s.account_id, s.stage, s.last_seen_at, s.expires_at, m.tenant_id, m.role
  FROM tenancy.sessions AS s
  JOIN tenancy.accounts AS a ON a.id = s.account_id AND a.disabled_at IS NULL
  LEFT JOIN tenancy.session_tenants AS t ON t.session_id = s.id
  LEFT JOIN tenancy.members AS m ON m.tenant_id = t.tenant_id AND m.account_id = s.account_id
  WHERE s.token_sha256 = p_token_sha256 AND s.ended_at IS NULL
$body$;
"""

TENANTS_OF = """
CREATE FUNCTION tenancy.tenants_of(p_account uuid) RETURNS TABLE (tenant_id uuid, name text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT t.tenant_id, t.name, m.role
  FROM tenancy.members AS m JOIN tenancy.tenants AS t ON t.tenant_id = m.tenant_id
  WHERE m.account_id = p_account ORDER BY t.tenant_id
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
    "data_keys",
    "audit",
    "audit_log",
    "audit_chains",
    "outbox",
    "inbox",
    "tenants",
)

_PLATFORM = ("accounts", "recovery_codes", "links", "sessions", "mails")
_DEFINERS = ("session(bytea)", "tenants_of(uuid)", "erase_tenant(uuid)")


def upgrade() -> None:
    sql(ACCOUNTS + MEMBERS)
    sql("".join(platform_table("tenancy", table) for table in _PLATFORM))
    sql("".join(tenant_table("tenancy", table) for table in ("members", "session_tenants")))
    sql("GRANT DELETE ON tenancy.members, tenancy.session_tenants TO tenancy_definer;")
    sql(SESSION + TENANTS_OF + erase_tenant(_ERASED))
    sql("".join(definer_function("tenancy", name) for name in _DEFINERS))
