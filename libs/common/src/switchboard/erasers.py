"""Every store that keeps tenants' data, and who erases it. A store that nobody registered fails a test.

The streams and buckets of the bus need no eraser of their own: destroying the tenant's data key erases what they hold, and
``bus.tenant-keys`` does that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

STORES: dict[str, str] = {
    "postgres.tenancy": "tenant_svc",
    "postgres.calls": "call_orchestrator",
    "postgres.knowledge": "rag_svc",
    "bus.snapshots": "tenant_svc",
    "bus.tenant-keys": "tenant_svc",
    "bus.audit-heads": "tenant_svc",
    "blobs": "rag_svc",
    "speech-models": "voice_agent",
    "call-spool": "voice_agent",
}
"""Store -> the package whose ``erasers.STORES`` names it."""


@dataclass(frozen=True, slots=True)
class Eraser:
    """``erase`` removes what one store keeps of a tenant and returns how many things it removed; safe to repeat."""

    store: str
    erase: Callable[[UUID], Awaitable[int]]
