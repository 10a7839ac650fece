"""What PostgreSQL says about the trunks of a media cell."""

from __future__ import annotations

# Replicas take turns: two at once would each create what is missing. Released with its transaction.
LOCK_CELL = "SELECT pg_advisory_xact_lock(hashtextextended('tenancy.reconciler ' || $1, 0))"
SELECT_TRUNKS = """
SELECT tenant_id, id, allowed_addresses, numbers, auth_username, auth_password_sealed FROM tenancy.trunks_of_cell($1)
"""
