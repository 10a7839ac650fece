"""``python -m fleet.proofs.relay [--deaf]``: one relay of the orchestrator's outbox, as a process that can be killed.

Small batches, so that two of them would meet in the middle of a call's rows if they could. ``--deaf``: PostgreSQL's
notices never reach it.
"""

from __future__ import annotations

import asyncio
import sys
import time

from switchboard.bus import Bus
from switchboard.contracts.base import Service
from switchboard.db import Connection, Database
from switchboard.outbox import Relay, RelaySettings
from switchboard.settings import DatabaseSettings, EnvironmentSettings, NatsSettings, SealingSettings, load_or_exit

PATIENCE = RelaySettings(poll_s=0.05, batch=5, retry_first_s=0.05, retry_most_s=0.2)


class Settings(EnvironmentSettings):
    nats: NatsSettings
    sealing: SealingSettings
    database: DatabaseSettings


class DeafRelay(Relay):
    """Its connection listens to nothing."""

    async def _hear(self, conn: Connection) -> None:
        await asyncio.Event().wait()


async def run(settings: Settings, *, deaf: bool) -> None:
    kind = DeafRelay if deaf else Relay
    bus = await Bus.connect(settings.nats, settings.sealing, Service.CALL_ORCHESTRATOR)
    async with Database.open(settings.database, name="relay") as db:
        await kind(db, "calls", bus, time.monotonic, PATIENCE).run()


if __name__ == "__main__":
    asyncio.run(run(load_or_exit(Settings), deaf="--deaf" in sys.argv))
