"""The draft's parts and the published versions in PostgreSQL."""

from __future__ import annotations

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

COUNT_LOCATIONS = "SELECT count(*) FROM tenancy.locations"
SELECT_LOCATION = "SELECT id, name, address, hours, notes FROM tenancy.locations WHERE id = $1"
INSERT_LOCATION = f"""
INSERT INTO tenancy.locations (tenant_id, id, name, address, hours, notes) VALUES ({_TENANT}, $1, $2, $3, $4, $5)
"""
DELETE_HOLIDAYS = "DELETE FROM tenancy.holidays"
INSERT_HOLIDAY = f"""
INSERT INTO tenancy.holidays (tenant_id, day, name, opens, closes) VALUES ({_TENANT}, $1, $2, $3, $4)
"""
UPDATE_AGENT = "UPDATE tenancy.tenants SET agent = $1"

SELECT_PUBLISHED = """
SELECT c.version, c.snapshot FROM tenancy.configurations AS c
JOIN tenancy.tenants AS t ON t.tenant_id = c.tenant_id AND t.published_version = c.version
"""
INSERT_VERSION = f"""
INSERT INTO tenancy.configurations (tenant_id, version, status, snapshot, published_at)
VALUES ({_TENANT}, $1, $2, $3, $4)
"""
UPDATE_PUBLISHED = "UPDATE tenancy.tenants SET status = $1, published_version = $2"
UPDATE_STATUS = "UPDATE tenancy.tenants SET status = $1"
