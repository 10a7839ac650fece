"""The broker comes back with a store that is older than what it had acknowledged."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest
from fleet.bus_fixtures import BusServer, new_tenant
from fleet.proofs import PATIENCE_SECONDS
from fleet.proofs.outboxes import Journey
from fleet.prove import Tried
from switchboard.bus import Bus, Delivery
from switchboard.contracts.base import Service
from switchboard.contracts.calls import CallEnded, EndReason
from switchboard.errors import Unavailable
from switchboard.outbox import Relay

pytestmark = pytest.mark.integration

ROLLED_BACK_SECONDS = float(os.environ.get("BUS_ROLLBACK_SECONDS", "3"))
CALLS, BEFORE, AFTER = 3, 15, 15


async def heal(journey: Journey, since: datetime) -> str:
    """``python -m switchboard.republish``, as an operator runs it with the orchestrator's settings."""
    environment = {**os.environ, "SWITCHBOARD_DATABASE__DSN": journey.migrated.dsn("call_orchestrator")}
    argv = [sys.executable, "-m", "switchboard.republish", "--since", since.isoformat()]
    done = await asyncio.to_thread(
        subprocess.run, argv, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def pruned(journey: Journey) -> int:
    """What every relay does when it starts and then every ten minutes; the rows that are not kept."""
    return await Relay(journey.db, "calls", journey.orchestrator, time.monotonic).prune()


async def stream_length(journey: Journey) -> int:
    async with journey.bus_server.topology() as client:
        return (await client.jetstream().stream_info("CALLS")).state.messages


async def until_length(journey: Journey, length: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await stream_length(journey) < length:
            await asyncio.sleep(0.05)


async def test_a_store_rolled_back_heals_from_the_outboxes(journey: Journey, record_property: Tried) -> None:
    """A copy of the store is taken while the server stands still (SIGSTOP), the fleet goes on for a while, the server is
    killed and started on the copy. What was sent since is sent again, then much more that the broker still has: every fact
    is in the stream once and every effect has happened once, those that the consumer had before, those that it had not (it
    rested), and one whose row had waited in the outbox since before the copy."""
    host = journey.bus_server.host
    began = datetime.now(UTC)
    store, copy = host.folder / "nats" / "jetstream", host.folder / "copy"
    calls = [journey.orchestrator.ids.new() for _ in range(CALLS)]
    await host.astart(journey.relay("relay"))
    for call_id in calls:
        await journey.say_all(call_id, [(1, seq) for seq in range(1, BEFORE + 1)])
    await journey.until_seen(CALLS * BEFORE)
    await host.akill("relay")
    await journey.say_all(calls[0], [(2, 0)])  # written before the copy, sent after it

    pid = host.supervisor.pid_of("nats")
    os.kill(pid, signal.SIGSTOP)
    shutil.copytree(store, copy)
    copied_at = datetime.now(UTC)
    os.kill(pid, signal.SIGCONT)

    await host.arevive("relay")
    await asyncio.sleep(ROLLED_BACK_SECONDS)  # the age of the copy: the one thing here that is time itself
    everything = CALLS * (BEFORE + AFTER) + 1
    await journey.say_all(calls[0], [(2, seq) for seq in range(1, AFTER + 1)])
    await journey.until_seen(CALLS * BEFORE + 1 + AFTER)
    await journey.rest()
    for call_id in calls[1:]:
        await journey.say_all(call_id, [(2, seq) for seq in range(1, AFTER + 1)])
    await until_length(journey, everything)
    await host.akill("relay")
    await host.akill("nats")
    shutil.rmtree(store)
    copy.rename(store)
    await host.arevive("nats")
    assert await stream_length(journey) == CALLS * BEFORE

    await host.arevive("relay")
    assert await pruned(journey) == 0
    print(await heal(journey, copied_at), end="")  # noqa: T201
    await journey.consume()
    await journey.until_seen(everything)
    assert await stream_length(journey) == everything
    print(await heal(journey, began), end="")  # noqa: T201
    assert await stream_length(journey) == everything
    expected = [(1, seq) for seq in range(1, BEFORE + 1)] + [(2, seq) for seq in range(1, AFTER + 1)]
    assert journey.seen == {calls[0]: sorted([*expected, (2, 0)])} | dict.fromkeys(calls[1:], expected)
    assert Counter((await journey.effects()).values()) == {1: everything}
    record_property("facts", everything)


def ended(tenant_id: UUID, call_id: UUID) -> CallEnded:
    reason = EndReason.CALLER_HUNG_UP
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    return CallEnded(tenant_id=tenant_id, call_id=call_id, epoch=1, seq=1, at=at, room_sid="RM_1", reason=reason)


async def test_an_answer_about_a_lost_message_is_not_taken_for_one_about_its_successor(bus_server: BusServer) -> None:
    """The lost message is still in its handler when another one has been given its sequence number. It returns; the other
    one, which then fails, must come again."""
    host, store = bus_server.host, bus_server.host.folder / "nats" / "jetstream"
    agent = await bus_server.connect(Service.VOICE_AGENT)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))
    lost, successor = agent.ids.new(), agent.ids.new()
    begun = {call_id: asyncio.Event() for call_id in (lost, successor)}
    go_on = {call_id: asyncio.Event() for call_id in (lost, successor)}
    lost_done, handled = asyncio.Event(), asyncio.Event()

    async def take(fact: CallEnded, delivery: Delivery) -> None:
        assert fact.call_id is not None
        if fact.call_id == successor and begun[successor].is_set():
            handled.set()
            return
        begun[fact.call_id].set()
        await go_on[fact.call_id].wait()
        if fact.call_id == successor:
            raise RuntimeError("the first try")
        lost_done.set()

    await host.astop("nats")
    shutil.copytree(store, host.folder / "copy")
    await host.arevive("nats")
    orchestrator.consume({CallEnded: take})
    await publish(agent, ended(tenant_id, lost))
    await asyncio.wait_for(begun[lost].wait(), PATIENCE_SECONDS)
    await host.akill("nats")
    shutil.rmtree(store)
    (host.folder / "copy").rename(store)
    await host.arevive("nats")
    await publish(agent, ended(tenant_id, successor))
    await asyncio.wait_for(begun[successor].wait(), PATIENCE_SECONDS)

    go_on[lost].set()
    await asyncio.wait_for(lost_done.wait(), 10)
    await orchestrator.flush()
    go_on[successor].set()
    await asyncio.wait_for(handled.wait(), PATIENCE_SECONDS)


async def publish(agent: Bus, fact: CallEnded) -> None:
    message_id = agent.ids.new()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await agent.publish_fact(fact, message_id)
            except Unavailable:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("since", ["yesterday", "2026-03-02T09:00:00"])
def test_a_time_that_can_not_be_meant_is_refused(since: str) -> None:
    argv = [sys.executable, "-m", "switchboard.republish", "--since", since]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "2026-03-02T09:00:00Z" in done.stderr or "time zone" in done.stderr
