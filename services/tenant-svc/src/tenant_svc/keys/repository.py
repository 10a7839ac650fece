"""API keys in PostgreSQL."""

from __future__ import annotations

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

INSERT_KEY = f"""
INSERT INTO tenancy.api_keys
  (tenant_id, id, secret_sha256, roles, scopes, name, created_by, created_at, expires_at)
VALUES ({_TENANT}, $1, $2, '{{}}', $3, $4, $5, $6, $7)
"""
COUNT_KEYS = "SELECT count(*) FROM tenancy.api_keys WHERE revoked_at IS NULL"
SELECT_KEYS = """
SELECT id AS key_id, name, scopes, roles, created_at, created_by, expires_at, last_used_at
FROM tenancy.api_keys WHERE revoked_at IS NULL ORDER BY id DESC
"""
REVOKE_KEY = """
UPDATE tenancy.api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING name
"""
TOUCH_KEY = "UPDATE tenancy.api_keys SET last_used_at = $2 WHERE id = $1"

# Before the tenant is known, by the narrow look-up.
SELECT_KEY = (
    "SELECT tenant_id, secret_sha256, roles, scopes, expires_at, last_used_at, suspended FROM tenancy.api_key($1)"
)
