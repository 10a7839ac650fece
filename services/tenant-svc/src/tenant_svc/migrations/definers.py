"""The schema's ``SECURITY DEFINER`` functions: all that this service may ask across tenants."""

from __future__ import annotations

DEFINERS: tuple[str, ...] = (
    "tenancy.api_key(uuid)",
    "tenancy.session(bytea, timestamp with time zone)",
    "tenancy.tenants_of(uuid, timestamp with time zone)",
    "tenancy.invitation(uuid)",
    "tenancy.number_taken(text, text, text)",
    "tenancy.published_snapshots(uuid, integer)",
    "tenancy.wrapped_keys(uuid, integer)",
    "tenancy.tenants_overview(uuid, integer)",
    "tenancy.trunks_of_cell(text)",
    "tenancy.audited_tenants(uuid, integer)",
    "tenancy.erase_tenant(uuid)",
    "tenancy.outbox_claim(integer)",
    "tenancy.outbox_settle(bigint[], bigint[], interval, interval)",
    "tenancy.outbox_requeue(timestamp with time zone)",
    "tenancy.outbox_prune(interval)",
    "tenancy.outbox_backlog()",
    "tenancy.inbox_prune(interval)",
    "tenancy.repeats_prune(timestamp with time zone)",
)
"""As PostgreSQL writes them: ``schema.name(argument types)``."""
