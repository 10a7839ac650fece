"""The functions of this schema that look across tenants. A catalogue test compares this list with the database."""

from __future__ import annotations

DEFINERS: tuple[str, ...] = (
    "calls.call_by_room(text, uuid)",
    "calls.live_calls()",
    "calls.unmatched_open(uuid, text, text, text, text, text, text, text, timestamp with time zone)",
    "calls.unmatched_list(timestamp with time zone, integer)",
    "calls.unmatched_prune(interval)",
    "calls.erase_tenant(uuid)",
    "calls.outbox_claim(integer)",
    "calls.outbox_settle(bigint[], bigint[], interval, interval)",
    "calls.outbox_requeue(timestamp with time zone)",
    "calls.outbox_prune(interval)",
    "calls.outbox_backlog()",
    "calls.inbox_prune(interval)",
)
