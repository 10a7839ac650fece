"""What tests of several copies of a service need: to see what a copy has in hand, and to keep it there.

A service that waits for a row has its work in hand for as long as the test likes: then it is killed, at a moment that was
seen and not guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from prometheus_client.parser import text_string_to_metric_families
from switchboard.errors import DeadlineExceeded, Unavailable
from switchboard.http import HttpError, client

from fleet.api import ApiError, SwitchboardApi
from fleet.broker import broker, operators
from fleet.layout import Layout
from fleet.process import FleetError

T = TypeVar("T")
LOOK_EVERY = 0.02
PATIENCE = 20.0


async def metric(layout: Layout, process: str, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels; 0 when there is none yet."""
    async with client(base_url=layout.url(process)) as http:
        text = (await http.get("/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def until(what: str, happens: Callable[[], Awaitable[T | None]], seconds: float = PATIENCE) -> T:
    """The first result that is neither None nor False. FleetError that names what did not come."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if found := await happens():
                    return found
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError:
        raise FleetError(f"within {seconds:g} s it did not come to this: {what}") from None


async def with_work_in_hand(layout: Layout, service: str, name: str, **labels: str) -> str:
    """The first of the service's copies whose gauge shows work."""

    async def found() -> str | None:
        for process in layout.copies_of(service):
            if await metric(layout, process, name, **labels):
                return process
        return None

    return await until(f"a copy of {service} has work in hand ({name})", found)


class Held:
    """Rows that nobody else can change until :meth:`release`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._transaction = connection.transaction()

    async def hold(self, statement: str, *values: object) -> None:
        await self._transaction.start()
        if not await self._connection.fetch(statement, *values) and statement.startswith("SELECT"):
            raise FleetError(f"nothing to hold: {statement}")

    async def release(self) -> None:
        """Again does nothing."""
        if self._connection.is_in_transaction():
            await self._transaction.rollback()


@asynccontextmanager
async def held(dsn: str, statement: str, *values: object) -> AsyncIterator[Held]:
    """Holds what a `SELECT ... FOR UPDATE` finds, or a `LOCK TABLE` names, at most for the block. FleetError for nothing.

    Services wait 3 s for a lock, so release it before.
    """
    connection = await asyncpg.connect(dsn)
    try:
        made = Held(connection)
        await made.hold(statement, *values)
        try:
            yield made
        finally:
            await made.release()
    finally:
        await connection.close()


async def rows(dsn: str, statement: str, *values: object) -> list[dict[str, Any]]:
    """What a query finds."""
    connection = await asyncpg.connect(dsn)
    try:
        return [dict(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


class Failover:
    """A client of several gateways: tries one after the other until a request is acknowledged."""

    def __init__(self, apis: list[SwitchboardApi]) -> None:
        self._apis = apis
        self.failed = 0
        """Requests that were lost with a gateway, or refused for the moment, and made again."""

    async def ask(self, request: Callable[[SwitchboardApi], Awaitable[T]], first: int = 0, seconds: float = 40.0) -> T:
        """The answer. An answer that says that trying again is no use is raised; FleetError when none comes in time."""
        at = first
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        return await request(self._apis[at % len(self._apis)])
                    except ApiError as problem:
                        if not problem.problem.get("retryable"):
                            raise
                    except (Unavailable, DeadlineExceeded, HttpError):
                        pass
                    self.failed += 1
                    at += 1
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            raise FleetError(f"no gateway acknowledged the request within {seconds:g} s") from None


async def stored_facts(layout: Layout, stream: str, subject: str) -> dict[str, int]:
    """How many messages a stream holds, by subject."""
    async with broker(operators(layout)) as bus:
        info = await bus.jetstream().stream_info(stream, subjects_filter=subject)
    return dict(info.state.subjects or {})
