"""Tenants in PostgreSQL."""

from __future__ import annotations

from typing import Any

from switchboard.db import Connection

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

INSERT_TENANT = f"""
INSERT INTO tenancy.tenants (tenant_id, name, time_zone, language, agent, created_at)
VALUES ({_TENANT}, $1, $2, $3, $4, $5)
"""
INSERT_DATA_KEY = f"INSERT INTO tenancy.data_keys (tenant_id, wrapped, created_at) VALUES ({_TENANT}, $1, $2)"

SELECT_TENANT = """
SELECT tenant_id, name, status, time_zone, language, media_cell, agent, published_version FROM tenancy.tenants
"""
SELECT_LOCATIONS = "SELECT id, name, address, hours, notes FROM tenancy.locations ORDER BY id"
SELECT_HOLIDAYS = "SELECT day, name, opens, closes FROM tenancy.holidays ORDER BY day"
SELECT_NUMBERS = "SELECT number, trunk, carrier_account FROM tenancy.numbers ORDER BY id"

SELECT_FOUNDING = """
SELECT request, founded FROM tenancy.foundings WHERE account_id = $1 AND key = $2 AND created_at > $3
"""
KEEP_FOUNDING = """
INSERT INTO tenancy.foundings (account_id, key, request, founded, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id, key) DO UPDATE
SET request = excluded.request, founded = excluded.founded, created_at = excluded.created_at
"""
PRUNE_FOUNDINGS = "DELETE FROM tenancy.foundings WHERE created_at <= $1"

LOCK_TENANT = "SELECT true FROM tenancy.tenants FOR UPDATE"
ERASE_TENANT = "SELECT tenancy.erase_tenant($1)"


async def draft_rows(conn: Connection) -> dict[str, Any] | None:
    """The tenant of the transaction with all that its draft consists of, ready for validation; ``None``: no tenant."""
    tenant = await conn.fetchrow(SELECT_TENANT)
    if tenant is None:
        return None
    return {
        **dict(tenant),
        "locations": [dict(row) for row in await conn.fetch(SELECT_LOCATIONS)],
        "holidays": [dict(row) for row in await conn.fetch(SELECT_HOLIDAYS)],
        "numbers": [dict(row) for row in await conn.fetch(SELECT_NUMBERS)],
    }
