"""Consumers of the orchestrator's that are killed at every await of a message's way, driven from a test."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from switchboard.contracts.base import Service
from switchboard.testing.database import MigratedDatabase

from fleet.bus_fixtures import BusServer
from fleet.proofs import PATIENCE_SECONDS
from fleet.proofs.awaits import MOMENTS
from fleet.proofs.mortal import CONSUMER

REDELIVERED_AFTER_SECONDS = 2.0


class Mortals:
    """Consumers that live for one message each."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def open(
        cls, bus_server: BusServer, database: MigratedDatabase, handlers: str = "fleet.proofs.mortal:effect"
    ) -> AsyncIterator[Mortals]:
        """``handlers``: ``module:function``, see :mod:`fleet.proofs.mortal`."""
        environment = bus_server.environment(Service.CALL_ORCHESTRATOR.value)
        environment["SWITCHBOARD_DATABASE__DSN"] = database.dsn("call_orchestrator")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fleet.proofs.mortal", handlers),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            yield cls(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 30)

    async def consume(self, message_id: UUID, at: int = 0, moment: str = "begun") -> str:
        """``killed`` or ``done <suspensions>``."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{message_id.hex} {at} {moment}\n".encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := (await self._process.stdout.readline()).decode().strip():
                if line.startswith(("killed", "done", "failed")):
                    return line
        raise AssertionError("the consumers' process has ended")

    async def killed_at_every_await(
        self, publish: Callable[[], Awaitable[UUID]], on_killed: Callable[[UUID], Awaitable[None]] | None = None
    ) -> tuple[list[UUID], int]:
        """The messages whose consumers died, and the number of awaits: until none of the last two numbers was reached,
        since one way may be an await longer or shorter than another. ``publish``: a message with an entity of its own; its
        id.
        """
        killed: list[UUID] = []
        at, survived = 0, 0
        while survived < 2 * len(MOMENTS):
            at += 1
            for moment in MOMENTS:
                message_id = await publish()
                outcome = await self.consume(message_id, at, moment)
                if outcome == "killed":
                    killed.append(message_id)
                    survived = 0
                    if on_killed is not None:
                        await on_killed(message_id)
                else:
                    survived += 1
                    assert outcome.startswith("done ") and int(outcome[5:]) < at, outcome
        return killed, at - 2


async def until_answered(bus_server: BusServer) -> None:
    """What was not acknowledged comes again at once, and everything in the stream has been acknowledged.

    Until now it had 30 s, as in production: consumers that die one after the other would else be given the same messages so
    often that they count as what kills them, and end in the dead letters.
    """
    async with bus_server.topology() as client, asyncio.timeout(PATIENCE_SECONDS):
        js = client.jetstream()
        config = (await js.consumer_info("CALLS", CONSUMER)).config
        config.ack_wait = REDELIVERED_AFTER_SECONDS
        await js.add_consumer("CALLS", config)
        while True:
            info = await js.consumer_info("CALLS", CONSUMER)
            if info.num_pending == 0 and info.num_ack_pending == 0:
                return
            await asyncio.sleep(0.1)
