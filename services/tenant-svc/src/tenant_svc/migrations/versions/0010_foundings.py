"""Requests that founded a tenant, for when they are made again. The tenant that one names may be erased meanwhile."""

from __future__ import annotations

from switchboard.migrate import platform_table, sql

revision = "0010"
down_revision = "0009"

FOUNDINGS = """
CREATE TABLE tenancy.foundings (
  account_id uuid NOT NULL REFERENCES tenancy.accounts (id) ON DELETE CASCADE,
  key bytea NOT NULL CHECK (length(key) = 32),
  request bytea NOT NULL CHECK (length(request) = 32),
  founded uuid NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, key)
);
CREATE INDEX foundings_created ON tenancy.foundings (created_at);
"""


def upgrade() -> None:
    sql(FOUNDINGS + platform_table("tenancy", "foundings"))
