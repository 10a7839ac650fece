"""Admission on real PostgreSQL and NATS: ids, epochs, refusals, capacity, and life without the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from call_orchestrator.testing import CALLER, NUMBER, Rig, owner, rig, snapshot
from fleet.bus_fixtures import BusServer
from switchboard.bus import Call
from switchboard.clock import SystemClock
from switchboard.contracts.base import Empty
from switchboard.contracts.calls import (
    HEARTBEAT,
    PREVIEW,
    PULSE,
    CallAnswered,
    CallEnded,
    CallState,
    DecisionReason,
    EndReason,
    Heartbeat,
    HeartbeatReply,
    Outcome,
    PreviewRequest,
    TurnRecorded,
)
from switchboard.contracts.snapshot import AgentConfiguration, NumberBinding, TenantStatus
from switchboard.db import Connection
from switchboard.degraded import degraded_call_id
from switchboard.errors import Conflict, NotFound, StaleEpoch
from switchboard.sealed import Sealed
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def running(bus_server: BusServer, migrated: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(bus_server, migrated.settings("call_orchestrator"), tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def admin(migrated: MigratedDatabase) -> AsyncIterator[Connection]:
    conn = await asyncpg.connect(migrated.admin_dsn)
    yield conn
    await conn.close()


async def beat(running: Rig, tenant_id: UUID, call_id: UUID, epoch: int, room_sid: str) -> HeartbeatReply:
    body = Heartbeat(call_id=call_id, epoch=epoch, room_sid=room_sid)
    return await running.agent.request(HEARTBEAT, body, tenant_id=tenant_id)


async def test_a_call_is_not_given_to_another_job_while_its_own_is_there(running: Rig) -> None:
    """A LiveKit server that was started anew dispatches the agents of its rooms again."""
    tenant_id = await running.tenant()
    first = await running.admit("RM_1")

    async def here(_body: Empty, _call: Call) -> Empty:
        return Empty()

    await running.agent.serve_command(PULSE, tenant_id, first.call_id, here)
    await running.agent.flush()
    with pytest.raises(Conflict):
        await running.admit("RM_1")
    await beat(running, tenant_id, first.call_id, first.epoch, "RM_1")
    other = await running.admit("RM_2")
    assert other.call_id != first.call_id


async def test_the_room_asked_about_again_is_the_same_call_with_the_next_epoch(running: Rig) -> None:
    tenant_id = await running.tenant()
    first = await running.admit("RM_1")
    again = await running.admit("RM_1")
    other = await running.admit("RM_2")

    assert (again.call_id, again.epoch) == (first.call_id, 2)
    assert other.call_id != first.call_id
    assert again.decision.plan is not None and again.decision.plan.snapshot.tenant_id == tenant_id
    with pytest.raises(StaleEpoch):
        await beat(running, tenant_id, first.call_id, 1, "RM_1")
    assert (await beat(running, tenant_id, first.call_id, 2, "RM_1")).lease_seconds == 15.0


async def test_one_room_asked_about_by_many_at_once_is_one_call(running: Rig) -> None:
    await running.tenant()
    replies = await asyncio.gather(*(running.admit("RM_1") for _ in range(5)))
    assert len({reply.call_id for reply in replies}) == 1
    assert sorted(reply.epoch for reply in replies) == [1, 2, 3, 4, 5]


async def test_a_stale_jobs_facts_are_refused(running: Rig, admin: Connection) -> None:
    tenant_id = await running.tenant()
    old = await running.admit("RM_1")
    new = await running.admit("RM_1")
    common = {"tenant_id": tenant_id, "call_id": old.call_id, "room_sid": "RM_1", "at": SystemClock().now()}
    stale = CallEnded.model_validate({**common, "epoch": old.epoch, "seq": 1, "reason": EndReason.AGENT_FAILED})
    ended = CallEnded.model_validate({**common, "epoch": new.epoch, "seq": 1, "reason": EndReason.AGENT_ENDED})
    words = {"turn": 0, "kind": "answered", "agent_said": Sealed("x"), "agent_heard": Sealed("x")}
    stale_turn = TurnRecorded.model_validate({**common, **words, "epoch": old.epoch, "seq": 2})

    await running.agent.publish_fact(stale_turn)
    await running.agent.publish_fact(stale)
    await running.agent.publish_fact(ended)
    await until_state(running, tenant_id, old.call_id, CallState.ENDED)

    record = await running.record(tenant_id, old.call_id)
    verdicts = await admin.fetch("SELECT epoch, verdict FROM calls.call_events WHERE source = 'agent' ORDER BY epoch")
    assert record.summary.end_reason is EndReason.AGENT_ENDED
    assert [tuple(row) for row in verdicts] == [(1, "stale"), (1, "stale"), (2, "applied")]
    assert record.turns == ()


async def until_state(running: Rig, tenant_id: UUID, call_id: UUID, state: CallState) -> None:
    async with asyncio.timeout(15):
        while (await running.record(tenant_id, call_id)).summary.state is not state:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("dialled", "trunk", "reason"),
    [
        ("+15557654321", "platform", "unknown_number"),
        (NUMBER, "another", "wrong_trunk"),
        (NUMBER, None, "wrong_trunk"),
    ],
)
async def test_a_call_that_is_nobodys_is_refused_and_recorded_for_operators(
    running: Rig, admin: Connection, dialled: str, trunk: str | None, reason: str
) -> None:
    tenant_id = await running.tenant()
    await running.tenant(numbers=())
    first = await running.admit("RM_1", dialled, trunk)
    again = await running.admit("RM_1", dialled, trunk)

    assert (first.decision.outcome, first.decision.reason.value) == (Outcome.REFUSE, reason)
    assert (first.decision.tenant_id, again.call_id) == (None, first.call_id)
    rows = await admin.fetch("SELECT dialled, caller, reason, attempts FROM calls.unmatched_calls")
    assert [tuple(row) for row in rows] == [(dialled, CALLER, reason, 2)]
    assert await admin.fetchval("SELECT count(*) FROM calls.calls") == 0
    # Whose number it is learns of it, once, and nobody else.
    audited = await running.audited(admin)
    assert [fact.tenant_id for fact in audited] == ([tenant_id] if reason == "wrong_trunk" else [])
    for fact in audited:
        assert (fact.actor_id, fact.action, fact.resource_id) == ("admission", "call.refused", first.call_id.hex)
        assert json.loads(fact.after or "") == {"reason": reason, "trunk": trunk}


async def test_the_service_can_not_read_calls_that_are_nobodys_past_its_functions(
    running: Rig, migrated: MigratedDatabase
) -> None:
    async with running.db.platform() as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.fetch("SELECT * FROM calls.unmatched_calls")


async def test_a_carrier_account_that_differs_is_a_wrong_trunk(running: Rig) -> None:
    binding = NumberBinding(number=NUMBER, carrier_account="AC1")
    await running.tenant(numbers=(binding,))
    refused = await running.admit("RM_1")
    assert refused.decision.reason is DecisionReason.WRONG_TRUNK


async def test_a_tenant_that_is_not_live_refuses_and_has_the_record(running: Rig, admin: Connection) -> None:
    tenant_id = await running.tenant(status=TenantStatus.DRAFT)
    first = await running.admit("RM_1")
    again = await running.admit("RM_1")

    record = await running.record(tenant_id, first.call_id)
    assert (first.decision.outcome, again.call_id) == (Outcome.REFUSE, first.call_id)
    assert (record.summary.state, record.summary.end_reason) == (CallState.ENDED, EndReason.TENANT_NOT_LIVE)
    [fact] = await running.audited(admin)
    assert (fact.tenant_id, fact.action, fact.resource_id) == (tenant_id, "call.refused", first.call_id.hex)
    assert json.loads(fact.after or "") == {"reason": "tenant_not_live"}


async def test_the_last_line_is_given_once_however_many_call_at_once(running: Rig) -> None:
    tenant_id = await running.tenant(limit=2)
    replies = await asyncio.gather(*(running.admit(f"RM_{number}") for number in range(4)))

    reasons = sorted(reply.decision.reason.value for reply in replies)
    assert reasons == ["open"] * 2 + ["over_capacity"] * 2
    assert not any(reply.degraded for reply in replies)
    # A call that is only told so takes no line, and one that ends frees its own.
    talking = next(reply for reply in replies if reply.decision.outcome is Outcome.TALK)
    fact = CallEnded(
        tenant_id=tenant_id,
        call_id=talking.call_id,
        epoch=1,
        seq=1,
        at=SystemClock().now(),
        room_sid="",
        reason=EndReason.CALLER_HUNG_UP,
    )
    await running.agent.publish_fact(fact)
    await until_state(running, tenant_id, talking.call_id, CallState.ENDED)
    assert (await running.admit("RM_9")).decision.outcome is Outcome.TALK


async def test_a_call_goes_on_as_it_was_decided(running: Rig) -> None:
    """The clinic pauses in the middle of a call whose job dies: the next job continues it."""
    tenant_id = await running.tenant()
    first = await running.admit("RM_1")
    paused = snapshot(tenant_id).model_copy(update={"version": 2, "status": TenantStatus.PAUSED})
    await running.publish(paused)

    assert (await running.admit("RM_1")).decision.outcome is Outcome.TALK
    assert (await running.admit("RM_2")).decision.reason is DecisionReason.TENANT_PAUSED
    assert first.epoch == 1


async def test_there_is_nothing_to_take_over_in_a_call_that_is_over(running: Rig) -> None:
    tenant_id = await running.tenant()
    first = await running.admit("RM_1")
    fact = CallEnded(
        tenant_id=tenant_id,
        call_id=first.call_id,
        epoch=1,
        seq=1,
        at=SystemClock().now(),
        room_sid="RM_1",
        reason=EndReason.CALLER_HUNG_UP,
    )
    await running.agent.publish_fact(fact)
    await until_state(running, tenant_id, first.call_id, CallState.ENDED)
    with pytest.raises(Conflict):
        await running.admit("RM_1")
    with pytest.raises(Conflict):
        await beat(running, tenant_id, first.call_id, 1, "RM_1")


async def test_while_draining_new_calls_are_refused(running: Rig) -> None:
    await running.tenant()
    going_on = await running.admit("RM_1")
    await running.parts.operations.drain(True)

    refused = await running.admit("RM_2")
    assert (refused.decision.outcome, refused.decision.evidence["draining"]) == (Outcome.REFUSE, True)
    assert (await running.admit("RM_1")).call_id == going_on.call_id
    await running.parts.operations.drain(False)
    assert (await running.admit("RM_3")).decision.outcome is Outcome.TALK


async def test_preview_decides_the_same_and_records_nothing(running: Rig, admin: Connection) -> None:
    tenant_id = await running.tenant(agent=AgentConfiguration(max_concurrent_calls=1))

    async def ask(number: str) -> DecisionReason:
        body = PreviewRequest(number=number)
        decision = await running.gateway.request(PREVIEW, body, tenant_id=tenant_id, actor=owner(tenant_id))
        return decision.reason

    assert await ask(NUMBER) is DecisionReason.OPEN
    await running.admit("RM_1")
    assert await ask(NUMBER) is DecisionReason.OVER_CAPACITY
    with pytest.raises(NotFound):
        await ask("+15550000042")
    assert await admin.fetchval("SELECT count(*) FROM calls.calls") == 1


async def without_database(admin: Connection) -> None:
    """What an outage looks like to a pool: its connections break, and new ones are refused."""
    await admin.execute("ALTER ROLE call_orchestrator NOLOGIN")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'call_orchestrator'")


async def with_database(admin: Connection) -> None:
    await admin.execute("ALTER ROLE call_orchestrator LOGIN")


async def test_without_the_database_calls_are_answered_and_recorded_later(running: Rig, admin: Connection) -> None:
    tenant_id = await running.tenant()
    await without_database(admin)
    try:
        reply = await running.admit("RM_1")
        again = await running.admit("RM_1")
        nobodys = await running.admit("RM_2", "+15557654321")
        answered = CallAnswered(
            tenant_id=tenant_id,
            call_id=reply.call_id,
            epoch=reply.epoch,
            seq=1,
            at=SystemClock().now(),
            room_sid="RM_1",
            configuration_version=1,
            degraded=True,
        )
        await running.agent.publish_fact(answered)
    finally:
        await with_database(admin)

    assert reply.degraded and reply.decision.outcome is Outcome.TALK and reply.decision.plan is not None
    assert (reply.call_id, again.call_id) == (degraded_call_id("RM_1"), reply.call_id)
    assert again.epoch >= reply.epoch > 1_000_000
    assert nobodys.decision.outcome is Outcome.REFUSE
    assert await running.parts.admission.flush() == 3
    await until_state(running, tenant_id, reply.call_id, CallState.TALKING)
    record = await running.record(tenant_id, reply.call_id)
    assert (record.summary.caller, record.summary.dialled) == (CALLER, NUMBER)
    # Back to normal: the next job of that room continues the very same call.
    taken_over = await running.admit("RM_1")
    assert (taken_over.call_id, taken_over.degraded) == (reply.call_id, False)
    assert taken_over.epoch == again.epoch + 1
    assert await admin.fetchval("SELECT reason FROM calls.unmatched_calls WHERE room_sid = 'RM_2'") == "unknown_number"
    assert await admin.fetchval("SELECT count(*) FROM calls.calls") == 1


async def test_a_job_that_takes_over_without_the_database_writes_into_the_same_record(
    running: Rig, admin: Connection
) -> None:
    tenant_id = await running.tenant()
    first = await running.admit("RM_1")
    await without_database(admin)
    try:
        second = await running.admit("RM_1")
    finally:
        await with_database(admin)
    fact = CallAnswered(
        tenant_id=tenant_id,
        call_id=second.call_id,
        epoch=second.epoch,
        seq=1,
        at=SystemClock().now(),
        room_sid="RM_1",
        configuration_version=1,
        degraded=True,
    )
    await running.agent.publish_fact(fact)
    await until_state(running, tenant_id, first.call_id, CallState.TALKING)
    with pytest.raises(StaleEpoch):
        await beat(running, tenant_id, first.call_id, first.epoch, "RM_1")
    assert await admin.fetchval("SELECT count(*) FROM calls.calls") == 1
