"""The projection: published versions and wrapped data keys, from PostgreSQL into the buckets of the bus.

The buckets may be lost at any time. They are filled again at start-up, by a sweep, and by ``python -m tenant_svc.rebuild``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import structlog
from switchboard.bus import Delivery
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.contracts.tenants import ConfigurationPublished
from switchboard.db import DATABASE_ERRORS, Connection, Database
from switchboard.errors import SwitchboardError
from switchboard.ids import token
from switchboard.inbox import Inbox

from tenant_svc.pages import SIZE, pages
from tenant_svc.snapshots import repository as sql
from tenant_svc.store import SCHEMA

_log = structlog.get_logger(__name__)

CONSUMER = "tenant-svc-config"


class Snapshots(Protocol):
    """:class:`switchboard.snapshot.SnapshotWriter`: never replaces a version by an older one."""

    async def publish(self, snapshot: TenantSnapshot) -> bool: ...


class KeyBucket(Protocol):
    """The bucket of wrapped data keys."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many entries were written because they were missing or older."""

    tenants: int
    snapshots: int
    keys: int


class Projection:
    def __init__(self, db: Database, snapshots: Snapshots, keys: KeyBucket) -> None:
        self._db = db
        self._snapshots = snapshots
        self._keys = keys
        self._inbox = Inbox(SCHEMA)

    async def on_published(self, fact: ConfigurationPublished, delivery: Delivery) -> None:
        """The fact only says that there is something new; what is written is the newest version in the database."""
        async with self._db.tenant(fact.tenant_id) as conn:
            if await self._inbox.first_time(conn, CONSUMER, delivery.message_id):
                await self._project(conn)

    async def hint(self, tenant_id: UUID) -> None:
        """Right after a commit, so that nobody waits for the fact's way through the broker. Never raises."""
        try:
            await self.project(tenant_id)
        except (SwitchboardError, *DATABASE_ERRORS) as error:
            _log.warning("snapshot not written yet; the fact will do it", error=type(error).__name__)

    async def project(self, tenant_id: UUID) -> bool:
        """Write the tenant's published version unless the bucket has it; whether it was written."""
        async with self._db.tenant(tenant_id) as conn:
            return await self._project(conn)

    async def _project(self, conn: Connection) -> bool:
        version = await conn.fetchval(sql.LOCK_TENANT)
        if version is None:
            return False  # never published, or erased meanwhile
        stored = await conn.fetchval(sql.SELECT_VERSION, version)
        return await self._snapshots.publish(TenantSnapshot.model_validate(stored))

    async def rebuild(self) -> Rebuilt:
        """Fill the buckets with all that they lack."""
        keys = 0
        async for row in pages(self._key_page):
            keys += await self._restore_key(row["tenant_id"])
        tenants = snapshots = 0
        async for row in pages(self._snapshot_page):
            tenants += 1
            snapshots += await self.project(row["tenant_id"])
        return Rebuilt(tenants, snapshots, keys)

    async def sweep(self, every_s: float) -> None:
        """Rebuild now and every ``every_s`` seconds, until cancelled. What is away is waited for."""
        while True:
            try:
                rebuilt = await self.rebuild()
                if rebuilt.snapshots or rebuilt.keys:
                    _log.info("buckets filled", snapshots=rebuilt.snapshots, keys=rebuilt.keys)
            except (SwitchboardError, *DATABASE_ERRORS) as error:
                _log.warning("buckets not swept", error=type(error).__name__)
            await asyncio.sleep(every_s)

    async def _restore_key(self, tenant_id: UUID) -> bool:
        if await self._keys.get(token(tenant_id)) is not None:
            return False
        async with self._db.tenant(tenant_id) as conn:
            # Read again under its lock: a key that is being destroyed must not come back.
            wrapped = await conn.fetchval(sql.LOCK_DATA_KEY)
            if wrapped is None:
                return False
            await self._keys.put(token(tenant_id), bytes(wrapped))
        return True

    async def _key_page(self, after: UUID) -> Sequence[Any]:
        async with self._db.platform(readonly=True) as conn:
            return await conn.fetch(sql.SELECT_KEYS, after, SIZE)

    async def _snapshot_page(self, after: UUID) -> Sequence[Any]:
        async with self._db.platform(readonly=True) as conn:
            return await conn.fetch(sql.SELECT_SNAPSHOTS, after, SIZE)
