"""Tenants and what belongs to them; the look-ups across tenants stand in the next version."""

from __future__ import annotations

from switchboard.migrate import sql, tenant_table

revision = "0002"
down_revision = "0001"

TENANTS = """
CREATE TABLE tenancy.tenants (
  tenant_id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'live', 'paused', 'suspended')),
  time_zone text NOT NULL,
  language text NOT NULL,
  media_cell text NOT NULL DEFAULT 'default',
  agent jsonb NOT NULL,
  published_version integer CHECK (published_version >= 1),
  created_at timestamptz NOT NULL
);

CREATE TABLE tenancy.users (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id uuid NOT NULL,
  email text NOT NULL CHECK (length(email) <= 254),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX users_by_email ON tenancy.users (tenant_id, lower(email));

CREATE TABLE tenancy.memberships (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.users (tenant_id, id)
);

CREATE TABLE tenancy.api_keys (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id uuid NOT NULL,
  secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
  roles text[] NOT NULL,
  created_at timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
-- A key is looked up before its tenant is known.
CREATE UNIQUE INDEX api_keys_by_id ON tenancy.api_keys (id);

CREATE TABLE tenancy.data_keys (
  tenant_id uuid PRIMARY KEY,
  wrapped bytea NOT NULL,
  created_at timestamptz NOT NULL
);
"""

CONFIGURATION = """
CREATE TABLE tenancy.locations (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  address text NOT NULL CHECK (length(address) <= 300),
  hours jsonb NOT NULL,
  notes text NOT NULL CHECK (length(notes) <= 1000),
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE tenancy.holidays (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  day date NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  opens time,
  closes time,
  PRIMARY KEY (tenant_id, day),
  CHECK ((opens IS NULL) = (closes IS NULL) AND (opens IS NULL OR opens < closes))
);

CREATE TABLE tenancy.trunks (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  media_cell text NOT NULL,
  allowed_addresses text[] NOT NULL CHECK (cardinality(allowed_addresses) >= 1),
  auth_username text,
  auth_password_sealed bytea,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, id, media_cell),
  CHECK ((auth_username IS NULL) = (auth_password_sealed IS NULL))
);

CREATE TABLE tenancy.trunk_numbers (
  tenant_id uuid NOT NULL,
  trunk_id uuid NOT NULL,
  media_cell text NOT NULL,
  number text NOT NULL CHECK (number ~ '^\\+[1-9][0-9]{6,14}$'),
  PRIMARY KEY (tenant_id, trunk_id, number),
  FOREIGN KEY (tenant_id, trunk_id, media_cell) REFERENCES tenancy.trunks (tenant_id, id, media_cell)
);
-- LiveKit refuses two trunks with one number, so the second tenant must be refused here, where it can be told.
CREATE UNIQUE INDEX trunk_numbers_by_number ON tenancy.trunk_numbers (media_cell, number);

CREATE TABLE tenancy.numbers (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  id uuid NOT NULL,
  number text NOT NULL CHECK (number ~ '^\\+[1-9][0-9]{6,14}$'),
  trunk text NOT NULL,
  trunk_id uuid,
  carrier_account text CHECK (carrier_account <> ''),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, trunk_id, number) REFERENCES tenancy.trunk_numbers (tenant_id, trunk_id, number),
  CHECK (trunk = COALESCE(replace(trunk_id::text, '-', ''), 'platform'))
);
CREATE UNIQUE INDEX numbers_by_path ON tenancy.numbers (trunk, COALESCE(carrier_account, ''), number);

CREATE TABLE tenancy.configurations (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  version integer NOT NULL CHECK (version >= 1),
  status text NOT NULL,
  snapshot jsonb NOT NULL,
  published_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, version)
);

CREATE TABLE tenancy.audit (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  at timestamptz NOT NULL,
  actor_kind text NOT NULL,
  actor_id text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id)
);
"""

_EDITED = ("tenants", "users", "memberships", "api_keys", "data_keys", "locations", "holidays", "trunks")
_WRITTEN_ONCE = ("configurations", "audit")


def upgrade() -> None:
    sql(TENANTS + CONFIGURATION)
    sql("".join(tenant_table("tenancy", table) for table in (*_EDITED, "trunk_numbers", "numbers")))
    # A published version and an audit row are never changed, by anything that this service could do.
    sql("".join(tenant_table("tenancy", table, grants="SELECT, INSERT") for table in _WRITTEN_ONCE))
