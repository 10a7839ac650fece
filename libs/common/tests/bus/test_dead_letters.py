"""A message that can't be handled: nobody waits for it, it ends in the dead letters, and an operator's commands bring it
back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from fleet.bus_fixtures import BusServer, new_tenant, turn
from fleet.proofs import PATIENCE_SECONDS
from fleet.prove import Tried
from switchboard.bus import Bus, Delivery
from switchboard.bus.permissions import TOPOLOGY_USER
from switchboard.contracts.base import Service
from switchboard.contracts.calls import TurnRecorded

pytestmark = pytest.mark.integration

CANARY = "xylophone"
TRIES = 3


class Command:
    """``python -m switchboard.bus.deadletters``, as an operator runs it."""

    def __init__(self, bus_server: BusServer) -> None:
        self._environment = bus_server.environment(TOPOLOGY_USER)

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "switchboard.bus.deadletters", *arguments]
        return await asyncio.to_thread(
            subprocess.run, argv, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    async def listed(self) -> list[dict[str, Any]]:
        done = await self.run("list")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def first(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := await self.listed()):
                await asyncio.sleep(0.1)
        return found[0]


class Handler:
    """Fails on the first turn of ``poison``; its second try ends only after everybody else's message was handled."""

    def __init__(self, poison: UUID, others: int) -> None:
        self.poison, self._others = poison, others
        self.tries: list[int] = []
        self.handled: list[tuple[UUID | None, int]] = []
        self.changed = asyncio.Event()
        self.broken = True
        self.given_up = False
        self.waits = asyncio.Event()

    async def __call__(self, fact: TurnRecorded, delivery: Delivery) -> None:
        if fact.call_id == self.poison and fact.seq == 1 and self.broken:
            self.tries.append(delivery.attempt)
            if delivery.attempt == 2:
                self.waits.set()
                await self.until_handled(self._others)
            raise RuntimeError(CANARY)
        self.handled.append((fact.call_id, fact.seq))
        self.changed.set()

    async def until_handled(self, count: int) -> None:
        while len(self.handled) < count and not self.given_up:
            self.changed.clear()
            await self.changed.wait()

    def give_up(self) -> None:
        """Whatever waits in here goes on."""
        self.given_up = True
        self.changed.set()


async def publish_poison(agent: Bus, tenant_id: UUID, call_id: UUID) -> UUID:
    """With a header by which a careless copy of it would be refused by every other stream."""
    message = await agent.encode(turn(tenant_id, call_id, 1, CANARY))
    headers = {**message.headers, "Nats-Expected-Stream": "CALLS"}
    await agent.publish(message.subject, message.payload, headers, message.id.hex)
    return message.id


async def test_poison_delays_nobody_and_comes_back_by_command(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch, record_property: Tried
) -> None:
    monkeypatch.setattr("switchboard.bus.consumer.RETRY_DELAYS", (0.1,) * (TRIES - 1))
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))
    agent = await bus_server.connect(Service.VOICE_AGENT)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    command = Command(bus_server)
    poison, others = agent.ids.new(), [agent.ids.new() for _ in range(50)]
    handler = Handler(poison, len(others))
    orchestrator.consume({TurnRecorded: handler})

    await publish_poison(agent, tenant_id, poison)
    for call_id in others[:25]:
        await agent.publish_fact(turn(tenant_id, call_id, 1, CANARY))
    # The poison's second try waits for all of them, also those that come now: were they behind it, nobody would ever go on.
    await asyncio.wait_for(handler.waits.wait(), PATIENCE_SECONDS)
    for call_id in others[25:]:
        await agent.publish_fact(turn(tenant_id, call_id, 1, CANARY))
    try:
        await asyncio.wait_for(handler.until_handled(len(others)), PATIENCE_SECONDS)
    except TimeoutError:
        handler.give_up()
        raise

    letter = await command.first()
    assert handler.tries == list(range(1, TRIES + 1))
    assert (letter["contract"], letter["consumer"]) == ("calls.turn/1", "call-orchestrator-calls")
    assert (letter["reason"], letter["tries"]) == ("RuntimeError", TRIES)
    shown = await command.run("show", str(letter["sequence"]))
    assert json.loads(shown.stdout) == letter
    assert CANARY not in shown.stdout + shown.stderr

    await replay(command, letter)
    again = await command.first()  # still poison: it is buried again, not lost
    assert again["sequence"] > letter["sequence"]
    assert handler.tries == [*range(1, TRIES + 1)] * 2

    handler.broken = False
    await replay(command, again)
    await asyncio.wait_for(handler.until_handled(len(others) + 1), PATIENCE_SECONDS)
    assert handler.handled[-1] == (poison, 1)
    assert await command.listed() == []
    record_property("messages", len(others) + 1)
    record_property("replays", 2)


async def replay(command: Command, letter: dict[str, Any]) -> None:
    done = await command.run("replay", str(letter["sequence"]))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [("show", "99"), ("replay", "99")])
async def test_a_dead_letter_that_is_not_there_is_said(bus_server: BusServer, arguments: Sequence[str]) -> None:
    done = await Command(bus_server).run(*arguments)
    assert done.returncode == 1
    assert "there is no dead letter 99" in done.stderr
