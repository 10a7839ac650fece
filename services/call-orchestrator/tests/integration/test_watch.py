"""The watch on real PostgreSQL with LiveKit in memory and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from call_orchestrator.adapters.livekit_fake import FakeMedia
from call_orchestrator.calls.facts import CONSUMER
from call_orchestrator.testing import NUMBER, Rig, rig
from fleet.bus_fixtures import BusServer
from switchboard.clock import ManualClock
from switchboard.contracts.calls import CallState, EndReason, MediaHint
from switchboard.db import PLATFORM_TENANT, Connection
from switchboard.sealed import Sealed
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

LEG = {
    "sip.trunkPhoneNumber": NUMBER,
    "sip.phoneNumber": "+15550009999",
    "switchboard.trunk": "platform",
    "sip.callID": "S",
}


@dataclass
class Scene:
    rig: Rig
    media: FakeMedia
    clock: ManualClock
    tenant_id: UUID

    async def run_for(self, seconds: float, sweep: bool = True) -> None:
        """Look whenever something is due, sweep every five seconds, until ``seconds`` have passed."""
        watch = self.rig.parts.watch
        end = self.clock.monotonic() + seconds
        next_sweep = self.clock.monotonic()
        while True:
            if sweep and self.clock.monotonic() >= next_sweep:
                await watch.sweep()
                next_sweep += 5
            due = await watch.step()
            until_due = seconds if due is None else (due - self.clock.now()).total_seconds()
            left = end - self.clock.monotonic()
            if left <= 0:
                return
            self.clock.advance(min(left, max(0.001, min(until_due, next_sweep - self.clock.monotonic()))))

    async def calls(self) -> list[tuple[str, str | None]]:
        async with self.rig.db.tenant(self.tenant_id) as conn:
            rows = await conn.fetch("SELECT state, end_reason FROM calls.calls ORDER BY started_at, room_sid")
        return [(row["state"], row["end_reason"]) for row in rows]


@pytest_asyncio.fixture
async def scene(bus_server: BusServer, migrated: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Scene]:
    # Requests carry real deadlines, so the clock begins now.
    clock = ManualClock(datetime.now(UTC))
    media = FakeMedia(clock)
    async with rig(bus_server, migrated.settings("call_orchestrator"), tmp_path, clock=clock, media=media) as made:
        yield Scene(made, media, clock, await made.tenant())


@pytest_asyncio.fixture
async def admin(migrated: MigratedDatabase) -> AsyncIterator[Connection]:
    conn = await asyncpg.connect(migrated.admin_dsn)
    yield conn
    await conn.close()


def hint(sid: str, event: str, kind: str = "", *, at: datetime, event_id: str = "EV") -> MediaHint:
    return MediaHint.model_validate(
        {
            "tenant_id": None,
            "call_id": None,
            "epoch": 0,
            "seq": 0,
            "at": at,
            "event": event,
            "event_id": event_id,
            "room_sid": sid,
            "room_name": Sealed(f"room-{sid}"),
            "participant_kind": kind,
        }
    )


async def test_a_call_that_no_agent_takes_ends_with_a_record(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    await scene.run_for(11.9)
    assert (len(scene.media.dispatched), scene.media.deleted) == (3, [])
    assert await scene.calls() == [("ringing", None)]
    await scene.run_for(10)
    assert scene.media.deleted == ["room-RM_1"]
    assert await scene.calls() == [("ended", "no_agent")]
    assert len(scene.rig.parts.watch) == 0


async def test_an_agent_that_comes_with_the_second_offer_is_enough(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    await scene.run_for(4)
    scene.media.free_agents = 1
    await scene.run_for(30)
    assert (len(scene.media.dispatched), scene.media.deleted) == (2, [])


async def test_a_number_that_is_nobodys_without_an_agent_is_recorded_for_operators(
    scene: Scene, admin: Connection
) -> None:
    scene.media.ring("RM_1", {**LEG, "sip.trunkPhoneNumber": "15557654321"})
    await scene.run_for(20)
    rows = await admin.fetch("SELECT dialled, reason FROM calls.unmatched_calls")
    assert [tuple(row) for row in rows] == [("+15557654321", "no_agent")]
    assert scene.media.deleted == ["room-RM_1"]


async def test_a_caller_who_gives_up_while_it_rings_has_cancelled(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    await scene.run_for(1)
    scene.media.close("RM_1")
    await scene.run_for(20)
    assert await scene.calls() == [("ended", "caller_cancelled")]


async def test_the_job_and_the_watch_name_the_same_call(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    await scene.run_for(0.5)
    reply = await scene.rig.admit("RM_1")
    assert reply.epoch == 1
    assert await scene.calls() == [("admitted", None)]


async def test_an_agent_that_dies_is_replaced_and_then_the_call_is_given_up(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    scene.media.join_agent("RM_1")
    await scene.rig.admit("RM_1")
    await scene.run_for(6)
    scene.media.leave("RM_1", "agent")
    await scene.run_for(60)
    assert (len(scene.media.dispatched), scene.media.deleted) == (3, ["room-RM_1"])
    assert await scene.calls() == [("ended", "agent_lost")]


async def test_a_room_that_vanished_with_its_job_is_closed_after_the_lease(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    scene.media.join_agent("RM_1")
    await scene.rig.admit("RM_1")
    await scene.run_for(2)
    scene.media.close("RM_1")
    await scene.run_for(6)
    assert await scene.calls() == [("admitted", None)]
    await scene.run_for(20)
    assert await scene.calls() == [("ended", "caller_cancelled")]


async def test_two_replicas_offer_a_room_no_more_often_than_one(
    scene: Scene, bus_server: BusServer, migrated: MigratedDatabase, tmp_path: Path
) -> None:
    database = migrated.settings("call_orchestrator")
    async with rig(bus_server, database, tmp_path, clock=scene.clock, media=scene.media) as second:
        scene.media.ring("RM_1", LEG)
        for _ in range(26):
            await asyncio.gather(scene.rig.parts.watch.sweep(), second.parts.watch.sweep())
            await asyncio.gather(scene.rig.parts.watch.step(), second.parts.watch.step())
            scene.clock.advance(0.5)
    assert len(scene.media.dispatched) == 3
    async with scene.rig.db.tenant(scene.tenant_id) as conn:
        closed = await conn.fetchval("SELECT count(*) FROM calls.outbox WHERE subject LIKE '%.closed'")
    assert (await scene.calls(), closed) == ([("ended", "no_agent")], 1)


async def test_without_the_database_a_room_is_still_offered_again(scene: Scene, admin: Connection) -> None:
    scene.media.ring("RM_1", LEG)
    await admin.execute("ALTER ROLE call_orchestrator NOLOGIN")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'call_orchestrator'")
    try:
        await scene.run_for(13)
        assert (len(scene.media.dispatched), scene.media.deleted) == (3, ["room-RM_1"])
    finally:
        await admin.execute("ALTER ROLE call_orchestrator LOGIN")
    await scene.run_for(10)
    assert await scene.calls() == [("ended", "no_agent")]


async def test_livekit_away_is_waited_out(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    await scene.run_for(1)
    scene.media.away = True
    for _ in range(5):
        await scene.rig.parts.watch.step()
        scene.clock.advance(1)
    scene.media.away = False
    scene.media.join_agent("RM_1")
    await scene.run_for(20)
    assert (scene.media.deleted, await scene.calls()) == ([], [("ringing", None)])


async def test_hints_come_late_repeated_and_false_and_only_say_where_to_look(scene: Scene, admin: Connection) -> None:
    """The room is well, whatever the hints say; each counts once by its message id."""
    scene.media.ring("RM_1", LEG)
    scene.media.join_agent("RM_1")
    await scene.rig.admit("RM_1")
    ids = [scene.rig.gateway.ids.new() for _ in range(3)]
    events = [("room_finished", ""), ("participant_left", "sip"), ("room_started", "")]
    for _ in range(2):
        for message_id, (event, kind) in zip(ids, events, strict=True):
            await scene.rig.gateway.publish_fact(hint("RM_1", event, kind, at=scene.clock.now()), message_id)
    await scene.rig.gateway.publish_fact(hint("RM_gone", "room_finished", at=scene.clock.now()))
    async with asyncio.timeout(15):
        query = "SELECT count(*) FROM calls.inbox WHERE consumer = $1 AND tenant_id = $2"
        while await admin.fetchval(query, CONSUMER, PLATFORM_TENANT) < 4:
            await asyncio.sleep(0.02)
    await scene.run_for(20, sweep=False)
    assert (scene.media.deleted, await scene.calls()) == ([], [("admitted", None)])


async def test_a_hint_that_the_caller_left_makes_a_vanished_room_a_hang_up(scene: Scene) -> None:
    scene.media.ring("RM_1", LEG)
    scene.media.join_agent("RM_1")
    reply = await scene.rig.admit("RM_1")
    async with scene.rig.db.tenant(scene.tenant_id) as conn:
        await conn.execute("UPDATE calls.calls SET state = 'talking', answered_at = started_at")
    await scene.run_for(1)
    await scene.rig.parts.watch.hint(hint("RM_1", "participant_left", "sip", at=scene.clock.now()))
    scene.media.close("RM_1")
    await scene.run_for(20)
    record = await scene.rig.record(scene.tenant_id, reply.call_id)
    assert (record.summary.state, record.summary.end_reason) == (CallState.ENDED, EndReason.CALLER_HUNG_UP)
    assert record.summary.ended_at is not None
    assert record.summary.ended_at - record.summary.started_at < timedelta(seconds=3)
