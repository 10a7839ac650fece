"""Two clinics and everybody who might ask, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest_asyncio
from fleet.actors import Town, build
from fleet.bus_fixtures import BusServer
from fleet.mailbox.box import Mailbox
from fleet.servers import RedisServer
from fleet.together import together
from switchboard.testing.database import MigratedDatabase


@pytest_asyncio.fixture
async def town(
    bus_server: BusServer,
    migrated: MigratedDatabase,
    redis_server: RedisServer,
    mailbox: Mailbox,
    smtp_port: int,
    tmp_path: Path,
) -> AsyncIterator[Town]:
    conn = await asyncpg.connect(migrated.admin_dsn)
    async with together(bus_server, migrated, redis_server, smtp_port, tmp_path) as stack:
        yield await build(stack, mailbox, conn)
    await conn.close()
