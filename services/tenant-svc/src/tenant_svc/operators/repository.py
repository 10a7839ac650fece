"""What operators see across tenants."""

from __future__ import annotations

SELECT_OVERVIEW = """
SELECT tenant_id, name, status, published_version, media_cell, created_at FROM tenancy.tenants_overview($1, $2)
"""
