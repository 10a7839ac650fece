"""Reading and ending calls as the gateway asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from call_orchestrator.adapters.livekit_fake import FakeMedia
from call_orchestrator.erasers import STORES, erasers
from call_orchestrator.testing import Rig, owner, rig
from fleet.bus_fixtures import BusServer
from switchboard.bus import Call
from switchboard.contracts.base import Actor, Empty, Page
from switchboard.contracts.calls import (
    END_CALL,
    LIST_CALLS,
    REQUEST_END,
    CallState,
    EndCall,
    EndCallRequest,
    EndReason,
)
from switchboard.errors import Forbidden, InvalidInput, NotFound
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def running(bus_server: BusServer, migrated: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(bus_server, migrated.settings("call_orchestrator"), tmp_path) as made:
        yield made


async def ask_end(running: Rig, tenant_id: UUID, call_id: UUID, actor: Actor | None = None) -> None:
    body = EndCallRequest(call_id=call_id)
    await running.gateway.request(REQUEST_END, body, tenant_id=tenant_id, actor=actor or owner(tenant_id))


async def test_pages_go_through_all_calls_newest_first_without_repeats(running: Rig) -> None:
    tenant_id = await running.tenant(limit=50)
    made = [(await running.admit(f"RM_{number}")).call_id for number in range(7)]

    seen, cursor = [], None
    while True:
        page = Page(limit=3, cursor=cursor)
        found = await running.gateway.request(LIST_CALLS, page, tenant_id=tenant_id, actor=owner(tenant_id))
        seen += [call.call_id for call in found.calls]
        cursor = found.next_cursor
        if cursor is None:
            break
    assert seen == made[::-1]
    with pytest.raises(InvalidInput, match="cursor"):
        await running.gateway.request(LIST_CALLS, Page(cursor="made-up"), tenant_id=tenant_id, actor=owner(tenant_id))


async def test_another_tenants_call_is_not_there(running: Rig) -> None:
    ours = await running.tenant()
    theirs = await running.tenant(number="+15550002000")
    call_id = (await running.admit("RM_1")).call_id

    assert (await running.record(ours, call_id)).summary.call_id == call_id
    with pytest.raises(NotFound):
        await running.record(theirs, call_id)
    with pytest.raises(NotFound):
        await ask_end(running, theirs, call_id)
    found = await running.gateway.request(LIST_CALLS, Page(), tenant_id=theirs, actor=owner(theirs))
    assert found.calls == ()
    # The subject says one tenant, the actor belongs to the other.
    with pytest.raises(NotFound):
        await ask_end(running, ours, call_id, actor=owner(theirs))


async def test_the_job_is_asked_to_end_its_call(running: Rig) -> None:
    tenant_id = await running.tenant()
    admitted = await running.admit("RM_1")
    asked: list[EndCall] = []

    async def end(body: EndCall, call: Call) -> Empty:
        asked.append(body)
        return Empty()

    await running.agent.serve_command(END_CALL, tenant_id, admitted.call_id, end)
    await running.agent.flush()
    await ask_end(running, tenant_id, admitted.call_id)

    assert asked == [EndCall(epoch=1, reason=EndReason.OPERATOR_ENDED)]
    assert (await running.record(tenant_id, admitted.call_id)).summary.state is CallState.ADMITTED
    assert isinstance(running.media, FakeMedia) and running.media.deleted == []


async def test_a_call_without_a_job_ends_with_its_room(running: Rig, migrated: MigratedDatabase) -> None:
    tenant_id = await running.tenant()
    admitted = await running.admit("RM_1")
    await asyncio.gather(*(ask_end(running, tenant_id, admitted.call_id) for _ in range(3)))
    await ask_end(running, tenant_id, admitted.call_id)

    record = await running.record(tenant_id, admitted.call_id)
    assert (record.summary.state, record.summary.end_reason) == (CallState.ENDED, EndReason.OPERATOR_ENDED)
    assert isinstance(running.media, FakeMedia) and set(running.media.deleted) == {"room-RM_1"}
    async with running.db.tenant(tenant_id) as conn:
        commands = await conn.fetch("SELECT epoch, name, outcome, requested_by FROM calls.commands")
        closed = await conn.fetchval("SELECT count(*) FROM calls.outbox WHERE subject LIKE '%.closed'")
    assert [tuple(row) for row in commands] == [(1, "end", "room_deleted", "user:somebody")]
    assert closed == 1
    admin = await asyncpg.connect(migrated.admin_dsn)
    lines = await running.audited(admin)
    await admin.close()
    assert 1 <= len(lines) <= 3  # one for each request that found the call still going on
    line = lines[0]
    assert (line.action, line.actor_kind, line.actor_id) == ("call.end_requested", "user", "somebody")
    assert (line.resource_id, line.actor_roles, line.after) == (admitted.call_id.hex, ("owner",), '{"epoch":1}')


async def test_who_reads_only_may_not_hang_up_on_a_caller(running: Rig) -> None:
    tenant_id = await running.tenant()
    admitted = await running.admit("RM_1")
    member = owner(tenant_id).model_copy(update={"roles": ("read_only",)})
    with pytest.raises(Forbidden, match="calls:end"):
        await ask_end(running, tenant_id, admitted.call_id, actor=member)
    with pytest.raises(NotFound):
        await ask_end(running, tenant_id, UUID(int=5))


async def test_a_tenant_is_forgotten_and_nobody_else(running: Rig) -> None:
    ours = await running.tenant()
    theirs = await running.tenant(number="+15550002000")
    await running.admit("RM_1")
    kept = (await running.admit("RM_2", "+15550002000")).call_id

    (eraser,) = erasers(running.db)
    assert (eraser.store, STORES) == ("postgres.calls", ("postgres.calls",))
    assert await eraser.erase(ours) > 0
    assert await eraser.erase(ours) == 0
    async with running.db.tenant(ours) as conn:
        for table in ("calls", "call_events", "outbox", "inbox", "audit"):
            assert await conn.fetchval(f"SELECT count(*) FROM calls.{table}") == 0
    assert (await running.record(theirs, kept)).summary.call_id == kept
