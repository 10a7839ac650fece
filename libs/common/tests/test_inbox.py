from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from switchboard.db import Database
from switchboard.inbox import Inbox
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

A, B = uuid4(), uuid4()
INBOX = Inbox("calls")


async def first(db: Database, message: object, tenant: object = A, consumer: str = "records") -> bool:
    async with db.tenant(tenant) as conn:  # type: ignore[arg-type]
        return await INBOX.first_time(conn, consumer, message)  # type: ignore[arg-type]


async def test_a_message_is_new_once_for_each_consumer_and_tenant(migrated: MigratedDatabase) -> None:
    message = uuid4()
    async with Database.open(migrated.settings("call_orchestrator"), name="test") as db:
        assert [await first(db, message), await first(db, message)] == [True, False]
        assert await first(db, message, consumer="insights")
        assert await first(db, message, tenant=B)
        assert await first(db, uuid4())


async def test_a_handler_that_failed_sees_the_message_as_new_again(migrated: MigratedDatabase) -> None:
    message = uuid4()
    async with Database.open(migrated.settings("call_orchestrator"), name="test") as db:
        with pytest.raises(RuntimeError):
            async with db.tenant(A) as conn:
                assert await INBOX.first_time(conn, "records", message)
                raise RuntimeError
        assert await first(db, message)


async def test_of_two_handlers_at_once_one_is_first(migrated: MigratedDatabase) -> None:
    message = uuid4()
    async with Database.open(migrated.settings("call_orchestrator"), name="test") as db:
        outcomes = await asyncio.gather(*(first(db, message) for _ in range(4)))
    assert sorted(outcomes) == [False, False, False, True]


async def test_a_consumer_has_a_name(migrated: MigratedDatabase) -> None:
    async with Database.open(migrated.settings("call_orchestrator"), name="test") as db:
        with pytest.raises(ValueError, match="not a consumer name"):
            await first(db, uuid4(), consumer="Records!")
