"""How this service forgets a tenant."""

from __future__ import annotations

from uuid import UUID

from switchboard.db import Database
from switchboard.erasers import Eraser

from call_orchestrator.calls import repository

STORES: tuple[str, ...] = ("postgres.calls",)


def erasers(db: Database) -> tuple[Eraser, ...]:
    """One per store."""

    async def erase(tenant_id: UUID) -> int:
        async with db.platform() as conn:
            return await repository.erase_tenant(conn, tenant_id)

    return (Eraser("postgres.calls", erase),)
