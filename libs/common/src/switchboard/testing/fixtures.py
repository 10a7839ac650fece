"""pytest plugin: ``migrated`` is a database of the test's own with every schema, copied from one made per session.

It needs a fixture ``postgres_server`` with a method ``dsn() -> str`` that gives the superuser's address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import pytest
import pytest_asyncio

from switchboard.testing.database import MigratedDatabase, copy_of, create_empty, drop, migrated_database


class Server(Protocol):
    def dsn(self) -> str: ...


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Server) -> Iterator[MigratedDatabase]:
    """Migrated once; tests copy it and never connect to it."""

    async def make() -> MigratedDatabase:
        return await migrated_database(await create_empty(postgres_server.dsn()))

    template = asyncio.run(make())
    yield template
    asyncio.run(drop(template))


@pytest_asyncio.fixture
async def migrated(migrated_template: MigratedDatabase) -> AsyncIterator[MigratedDatabase]:
    """A database of this test's own."""
    database = await copy_of(migrated_template)
    yield database
    await drop(database)
