"""``python -m tenant_svc.rebuild``: fills the buckets of the bus (snapshots, tenant keys) from PostgreSQL. Exits 0 or 1."""

from __future__ import annotations

import asyncio
import sys

from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS, TENANT_KEYS
from switchboard.contracts.base import Service
from switchboard.db import Database
from switchboard.errors import SwitchboardError
from switchboard.settings import load_or_exit
from switchboard.snapshot import SnapshotWriter
from switchboard.telemetry import setup

from tenant_svc.settings import RebuildSettings
from tenant_svc.snapshots.service import Projection, Rebuilt


async def rebuild(settings: RebuildSettings) -> Rebuilt:
    """Safe at any time, beside running services: nothing newer is overwritten."""
    async with Database.open(settings.database, name="tenant-svc rebuild") as db:
        bus = await Bus.connect(settings.nats, settings.sealing, Service.TENANT_SVC)
        try:
            writer = SnapshotWriter(bus.bucket(SNAPSHOTS), Blobs.open(settings.blobs))
            return await Projection(db, writer, bus.bucket(TENANT_KEYS)).rebuild()
        finally:
            await bus.drain()


def main() -> int:
    settings = load_or_exit(RebuildSettings)
    telemetry = setup("tenant-svc", settings.telemetry, stream=sys.stderr)
    try:
        done = asyncio.run(rebuild(settings))
    except SwitchboardError as error:
        sys.stderr.write(f"not rebuilt: {error.detail}\n")
        return 1
    finally:
        telemetry.shutdown()
    sys.stdout.write(f"{done.tenants} published tenants: {done.snapshots} snapshots and {done.keys} keys written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
