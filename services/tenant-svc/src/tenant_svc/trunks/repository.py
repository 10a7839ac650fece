"""Customers' own trunks in PostgreSQL."""

from __future__ import annotations

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

COUNT_TRUNKS = "SELECT count(*) FROM tenancy.trunks"
SELECT_CELL = "SELECT media_cell FROM tenancy.tenants"
INSERT_TRUNK = f"""
INSERT INTO tenancy.trunks
  (tenant_id, id, name, media_cell, allowed_addresses, auth_username, auth_password_sealed, created_at)
VALUES ({_TENANT}, $1, $2, $3, $4, $5, $6, $7)
"""
INSERT_TRUNK_NUMBER = f"""
INSERT INTO tenancy.trunk_numbers (tenant_id, trunk_id, media_cell, number) VALUES ({_TENANT}, $1, $2, $3)
"""
_VIEW = """
SELECT t.id AS trunk_id, t.name, t.allowed_addresses, t.media_cell,
  ARRAY(SELECT n.number FROM tenancy.trunk_numbers AS n
        WHERE n.tenant_id = t.tenant_id AND n.trunk_id = t.id ORDER BY n.number) AS numbers
FROM tenancy.trunks AS t
"""
SELECT_TRUNKS = f"{_VIEW} ORDER BY t.id"
SELECT_TRUNK = f"{_VIEW} WHERE t.id = $1"

# In one order, so that two rotations at once wait for each other.
LOCK_SEALED = """
SELECT id, auth_password_sealed FROM tenancy.trunks WHERE auth_password_sealed IS NOT NULL ORDER BY id FOR UPDATE
"""
RESEAL = "UPDATE tenancy.trunks SET auth_password_sealed = $2 WHERE id = $1"
