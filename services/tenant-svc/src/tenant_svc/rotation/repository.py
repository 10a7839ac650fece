"""Wrapped keys in PostgreSQL, one tenant at a time."""

from __future__ import annotations

# Before the chain's key: everybody who locks both takes them in this order.
LOCK_DATA_KEY = "SELECT wrapped FROM tenancy.data_keys FOR UPDATE"
UPDATE_DATA_KEY = "UPDATE tenancy.data_keys SET wrapped = $1"
SELECT_TENANTS = "SELECT tenant_id FROM tenancy.wrapped_keys($1, $2)"
UPDATE_CHAIN_KEY = "UPDATE tenancy.audit_chains SET key_wrapped = $1"
