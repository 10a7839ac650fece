"""What this service erases of a tenant. In this order: the database first, so that no sweep fills a bucket again."""

from __future__ import annotations

from uuid import UUID

from switchboard.db import Database
from switchboard.erasers import Eraser
from switchboard.snapshot import SnapshotWriter

from tenant_svc.audit.anchors import Anchors
from tenant_svc.store import DataKeys
from tenant_svc.tenants.repository import ERASE_TENANT

STORES: tuple[str, ...] = ("postgres.tenancy", "bus.snapshots", "bus.audit-heads", "bus.tenant-keys")


def erasers(db: Database, snapshots: SnapshotWriter, anchors: Anchors, keys: DataKeys) -> tuple[Eraser, ...]:
    """One for each of :data:`STORES`, in their order; each may be repeated."""

    async def rows(tenant_id: UUID) -> int:
        async with db.tenant(tenant_id) as conn:
            return int(await conn.fetchval(ERASE_TENANT, tenant_id))

    async def snapshot(tenant_id: UUID) -> int:
        await snapshots.forget(tenant_id)
        return 1

    async def head(tenant_id: UUID) -> int:
        await anchors.forget(tenant_id)
        return 1

    async def key(tenant_id: UUID) -> int:
        await keys.destroy(tenant_id)
        return 1

    return tuple(Eraser(store, erase) for store, erase in zip(STORES, (rows, snapshot, head, key), strict=True))
