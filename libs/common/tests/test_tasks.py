"""Ending tasks that don't take the first cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.aio.client import Client
from switchboard import tasks
from switchboard.bus.connection import LateClient
from switchboard.bus.kv import Bucket
from switchboard.errors import Unavailable
from switchboard.outbox import Relay

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.05)


async def deaf_once() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def running(*works: Any) -> list[asyncio.Task[None]]:
    made = [asyncio.create_task(work) for work in works]
    await asyncio.sleep(0)
    return made


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    made = await running(deaf_once(), asyncio.Event().wait())
    async with asyncio.timeout(5):
        await tasks.end(*made, None)
    assert all(task.cancelled() for task in made)


async def test_what_has_ended_already_is_left_alone() -> None:
    (failed,) = await running(asyncio.sleep(0, None))
    await asyncio.wait({failed})
    await tasks.end(failed)
    assert not failed.cancelled()


async def test_a_client_that_is_closed_while_it_reconnects_leaves_no_task_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """nats-py cancels its task once, and would try to connect for ever."""
    client = LateClient()
    (reconnecting,) = await running(deaf_once())
    client._reconnection_task = reconnecting

    async def closed(self: Client) -> None:
        reconnecting.cancel()

    monkeypatch.setattr(Client, "close", closed)
    async with asyncio.timeout(5):
        await client.close()
    assert reconnecting.cancelled()


async def test_a_relay_ends_though_the_database_swallowed_its_cancellation() -> None:
    """asyncpg waits for a connection with wait_for. In a task group there is no second cancellation."""
    begun = asyncio.Event()

    class Deaf:
        def platform(self) -> Deaf:
            return self

        listener = platform

        async def __aenter__(self) -> None:
            begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            raise Unavailable("away")

        async def __aexit__(self, *_: object) -> None:
            return

    (relaying,) = await running(Relay(cast("Any", Deaf()), "calls", cast("Any", None), lambda: 0.0).run())
    await begun.wait()
    async with asyncio.timeout(5):
        await tasks.end(relaying)
    assert relaying.done()


async def test_a_watch_ends_when_its_cancellation_was_swallowed_with_an_update() -> None:
    class Watcher:
        async def updates(self, timeout: float) -> SimpleNamespace:
            """As nats-py's: whoever is cancelled while an update has just come gets the update."""
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
            return SimpleNamespace(operation=None, key="a", value=b"")

    seen: list[str] = []

    async def on_entry(key: str, value: bytes | None) -> None:
        seen.append(key)

    bucket = Bucket(cast("Any", None), "snapshots")
    (following,) = await running(bucket._follow(cast("Any", Watcher()), on_entry, lambda: None))
    following.cancel()
    done, _ = await asyncio.wait({following}, timeout=5)
    assert (done, following.cancelled(), seen) == ({following}, True, ["a"])
