"""The schema's ``SECURITY DEFINER`` functions: all that this service may do across tenants."""

from __future__ import annotations

DEFINERS: tuple[str, ...] = (
    "knowledge.erase_tenant(uuid)",
    "knowledge.outbox_claim(integer)",
    "knowledge.outbox_settle(bigint[], bigint[], interval, interval)",
    "knowledge.outbox_requeue(timestamp with time zone)",
    "knowledge.outbox_prune(interval)",
    "knowledge.outbox_backlog()",
    "knowledge.inbox_prune(interval)",
    "knowledge.repeats_prune(timestamp with time zone)",
)
"""As PostgreSQL writes them: ``schema.name(argument types)``."""
