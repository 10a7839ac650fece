"""The audit on a real database and bus: written, read, anchored, and found out when somebody has been at it."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fleet.bus_fixtures import BusServer
from switchboard.audit import Line, Resource, told
from switchboard.bus import Bus, Delivery
from switchboard.clock import ManualClock, SystemClock
from switchboard.contracts import tenants as contract
from switchboard.contracts.audit import LIST_AUDIT, AuditList, AuditRecorded
from switchboard.contracts.base import Actor, Origin, Page, Service
from switchboard.contracts.snapshot import AgentConfiguration
from switchboard.db import Database
from switchboard.errors import InvalidInput
from switchboard.ids import Ids
from switchboard.inbox import Inbox
from switchboard.sealed import Sealed
from switchboard.settings import TelemetrySettings
from switchboard.telemetry.traces import configure_traces
from tenant_svc.audit.anchors import Anchors
from tenant_svc.audit.handlers import recorder
from tenant_svc.audit.verification import Verification, Verified
from tenant_svc.settings import Settings
from tenant_svc.store import SCHEMA, Store
from tenant_svc.tenants.repository import ERASE_TENANT
from tenant_svc.testing import Clinic, TenantSvc, anchored, environment, until

pytestmark = pytest.mark.integration

ORIGIN = Origin(ip="203.0.113.9", user_agent="curl/8", request_id="r1")


ADMISSION = Actor(kind="service", id="admission")


def refused(number: int) -> Line:
    return Line("call.refused", Resource("call", f"{number}"), after={"n": number})


async def told_by_the_orchestrator(
    bus_server: BusServer, clinic: Clinic, number: int
) -> tuple[Bus, AuditRecorded, UUID]:
    bus = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    fact = told(clinic.tenant_id, Service.CALL_ORCHESTRATOR, ADMISSION, refused(number), SystemClock().now())
    return bus, fact, bus.ids.new()


# -- what is written, and who reads it --------------------------------------------------------------------------------


@pytest.fixture
def traced() -> Iterator[None]:
    tracing = configure_traces("test", TelemetrySettings.model_validate({}))
    yield
    tracing.shutdown()


@pytest.mark.usefixtures("traced")
async def test_a_line_says_who_what_from_where_before_and_after(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    asking = Clinic(clinic.tenant_id, clinic.actor.model_copy(update={"origin": ORIGIN}))
    trunk = contract.ConnectTrunk(
        name="sbc",
        allowed_addresses=("192.0.2.1",),
        numbers=("+34911000399",),
        auth_username="front-desk",
        auth_password=Sealed("planted-password"),
    )
    await tenant_svc.ask(contract.CONNECT_TRUNK, trunk, asking)
    found: AuditList = await tenant_svc.ask(LIST_AUDIT, Page(), asking)
    assert [line.seq for line in found.lines] == [7, 6, 5, 4, 3, 2, 1]
    newest, agent = found.lines[0], found.lines[1]
    assert (newest.action, newest.resource_kind, newest.service) == ("trunk.added", "trunk", "tenant-svc")
    assert (newest.actor_kind, newest.actor_id, newest.actor_roles) == ("user", clinic.actor.id, ("owner",))
    assert (newest.ip, newest.user_agent, newest.request_id) == ("203.0.113.9", "curl/8", "r1")
    assert len(newest.trace_id) == 32
    after = json.loads(newest.after or "")
    assert (after["auth_username"], after["auth_password"]) == ("front-desk", "[masked]")
    states = json.loads(agent.before or ""), json.loads(agent.after or "")
    assert [state["greeting"] for state in states] == ["Two", "Three"]
    rows = await tenant_svc.rows("SELECT t::text AS whole FROM tenancy.audit_log AS t")
    assert not [row for row in rows if "planted-password" in row["whole"]]


async def test_the_list_comes_in_pages_and_shows_nobody_elses(tenant_svc: TenantSvc, clinic: Clinic) -> None:
    other = await tenant_svc.sign_up("Otra")
    first = await tenant_svc.ask(LIST_AUDIT, Page(limit=4), clinic)
    await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(greeting="Four"), clinic)
    second = await tenant_svc.ask(LIST_AUDIT, Page(limit=4, cursor=first.next_cursor), clinic)
    assert [line.seq for line in (*first.lines, *second.lines)] == [6, 5, 4, 3, 2, 1]
    assert second.next_cursor is None
    alone = await tenant_svc.ask(LIST_AUDIT, Page(), other)
    assert [line.action for line in alone.lines] == ["tenant.signed_up"]
    for wrong in ("x", "l0", "l-1", "l1\n", "l" + "9" * 30):
        with pytest.raises(InvalidInput):
            await tenant_svc.ask(LIST_AUDIT, Page(cursor=wrong), clinic)


async def test_another_services_line_comes_once_however_often_it_is_told(
    tenant_svc: TenantSvc, bus_server: BusServer, clinic: Clinic, verification: Verification, anchors: Anchors
) -> None:
    bus, fact, message_id = await told_by_the_orchestrator(bus_server, clinic, 1)
    message = await bus.encode(fact, message_id)
    for copy in range(3):  # past the broker's own notice of copies
        await bus.publish(message.subject, message.payload, message.headers, f"{message_id.hex}-{copy}")
    _, last, last_id = await told_by_the_orchestrator(bus_server, clinic, 2)
    await bus.publish_fact(last, last_id)
    await until(lambda: anchored(anchors, clinic, 8))
    rows = await tenant_svc.rows("SELECT id, service, resource_id, state_after FROM tenancy.audit_log WHERE seq > 6")
    assert [tuple(row) for row in rows] == [
        (message_id, "call-orchestrator", "1", '{"n":1}'),
        (last_id, "call-orchestrator", "2", '{"n":2}'),
    ]
    assert await verification.one(clinic.tenant_id) == Verified(clinic.tenant_id, 8)


async def test_a_line_that_is_handed_over_again_is_done_with(
    tenant_svc: TenantSvc, clinic: Clinic, db: Database, own_bus: Bus
) -> None:
    clock = SystemClock()
    store = Store(db, own_bus, Ids(clock), clock, own_bus.keyring, secrets.token_bytes)
    fact = told(clinic.tenant_id, Service.CALL_ORCHESTRATOR, ADMISSION, refused(1), clock.now())
    delivery = Delivery(own_bus.ids.new(), 1, "")
    for _ in range(2):
        await recorder(db, Inbox(SCHEMA), store.chains)(fact, delivery)
    assert len(await tenant_svc.rows("SELECT 1 FROM tenancy.audit_log WHERE seq > 6")) == 1


async def test_an_anchor_never_moves_back(clinic: Clinic, anchors: Anchors) -> None:
    assert await anchors.advance(clinic.tenant_id, 3)
    assert await anchored(anchors, clinic, 6)


async def test_an_erased_tenant_gets_no_line_that_was_on_its_way(
    tenant_svc: TenantSvc, clinic: Clinic, db: Database, own_bus: Bus
) -> None:
    clock = SystemClock()
    store = Store(db, own_bus, Ids(clock), clock, own_bus.keyring, secrets.token_bytes)
    async with db.tenant(clinic.tenant_id) as conn:
        await conn.execute(ERASE_TENANT, clinic.tenant_id)
    fact = told(clinic.tenant_id, Service.CALL_ORCHESTRATOR, ADMISSION, refused(1), clock.now())
    await recorder(db, Inbox(SCHEMA), store.chains)(fact, Delivery(own_bus.ids.new(), 1, ""))
    for table in ("audit_log", "audit_chains", "inbox", "outbox"):
        assert await tenant_svc.rows(f"SELECT 1 FROM tenancy.{table} WHERE tenant_id = $1", clinic.tenant_id) == []


async def test_lines_of_before_there_were_chains_begin_the_chain(
    tenant_svc: TenantSvc, clinic: Clinic, verification: Verification, anchors: Anchors
) -> None:
    """As a database of the release before looks after the migration."""
    await tenant_svc.rows("DELETE FROM tenancy.audit_log")
    await tenant_svc.rows("DELETE FROM tenancy.audit_chains")
    await anchors.forget(clinic.tenant_id)
    assert await verification.one(clinic.tenant_id) == Verified(clinic.tenant_id, 0)
    await tenant_svc.rows(
        "INSERT INTO tenancy.audit SELECT $1, md5(n::text)::uuid, '2026-10-01Z'::timestamptz + n * interval '1 minute',"
        " 'user', 'u1', 'location.added', 'subject ' || n FROM generate_series(1, 5) AS n",
        clinic.tenant_id,
    )
    await tenant_svc.publish(clinic)
    found = await tenant_svc.ask(LIST_AUDIT, Page(), clinic)
    assert [line.action for line in found.lines] == ["tenant.published", *["location.added"] * 5]
    assert [line.resource_id for line in found.lines[1:]] == [f"subject {n}" for n in (5, 4, 3, 2, 1)]
    await until(lambda: anchored(anchors, clinic, 6))
    assert await verification.one(clinic.tenant_id) == Verified(clinic.tenant_id, 6)


# -- many at once -----------------------------------------------------------------------------------------------------


async def test_two_writers_at_once_make_one_chain_and_hold_up_nobody_else(
    tenant_svc: TenantSvc, clinic: Clinic, db: Database, own_bus: Bus, verification: Verification, anchors: Anchors
) -> None:
    """Two processes' stores and recorders and the running service, in one tenant; then a tenant whose chain is held."""
    clock = SystemClock()

    async def encoded(fact: Any) -> Any:
        return await own_bus.encode(fact)

    stores = [Store(db, own_bus, Ids(clock), clock, own_bus.keyring, secrets.token_bytes) for _ in range(2)]

    async def write(store: Store, number: int) -> None:
        async with store.write(clinic.tenant_id, clinic.actor) as one:
            await one.audit(Line("agent.set", Resource("agent"), after={"n": number}))

    recorders = [recorder(db, Inbox(SCHEMA), store.chains) for store in stores]

    async def record(number: int) -> None:
        fact = told(clinic.tenant_id, Service.CALL_ORCHESTRATOR, ADMISSION, refused(number), clock.now())
        await recorders[number % 2](fact, Delivery(own_bus.ids.new(), 1, ""))

    await asyncio.gather(
        *(write(store, number) for number in range(20) for store in stores),
        *(record(number) for number in range(20)),
        *(tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(), clinic) for _ in range(5)),
    )
    await until(lambda: anchored(anchors, clinic, 71))
    assert await verification.one(clinic.tenant_id) == Verified(clinic.tenant_id, 71)

    async with db.tenant(clinic.tenant_id) as conn:
        await stores[0].chains.append(conn, clinic.tenant_id, clinic.actor, Line("x.y", Resource("x")), clock.now())
        async with asyncio.timeout(10):
            other = await tenant_svc.sign_up("Otra")
            await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(), other)


# -- the command ------------------------------------------------------------------------------------------------------


async def command(settings: Settings, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tenant_svc.audit", *arguments),
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_the_command_names_the_first_bad_line_of_each_chain(
    tenant_svc: TenantSvc, clinic: Clinic, settings: Settings, anchors: Anchors
) -> None:
    other = await tenant_svc.sign_up("Otra")
    await until(lambda: anchored(anchors, other, 1))
    assert await command(settings, "verify") == (0, "2 chains, 7 lines: all hold\n")
    await tenant_svc.rows("UPDATE tenancy.audit_log SET actor_id = 'x' WHERE seq IN (3, 5)")
    code, said = await command(settings, "verify")
    name = clinic.tenant_id.hex
    assert (code, said.splitlines()) == (
        1,
        [
            f"{name}: line 3 was changed, or was not written by the service: its hash is not that of its content",
            "2 chains, 3 lines: 1 do not hold",
        ],
    )
    assert (await command(settings, "verify", "--tenant", name))[0] == 1
    assert await command(settings, "verify", "--tenant", other.tenant_id.hex) == (0, "1 chains, 1 lines: all hold\n")


async def test_a_lost_bucket_is_said_and_anchored_anew_on_request_for_chains_that_hold(
    tenant_svc: TenantSvc, clinic: Clinic, settings: Settings, db: Database, own_bus: Bus, anchors: Anchors
) -> None:
    later = ManualClock(SystemClock().now() + timedelta(hours=1))
    verification = Verification(db, anchors, own_bus.keyring, later)
    other = await tenant_svc.sign_up("Otra")
    await until(lambda: anchored(anchors, other, 1))
    for each in (clinic, other):
        await anchors.forget(each.tenant_id)
    assert (await verification.one(clinic.tenant_id)).problem.startswith("no head is anchored")
    await tenant_svc.rows("UPDATE tenancy.audit_log SET action = 'x' WHERE tenant_id = $1", other.tenant_id)

    code, said = await command(settings, "anchor")

    assert (code, said.splitlines()[-1]) == (1, "2 chains, 6 lines: 1 do not hold")
    assert await verification.one(clinic.tenant_id) == Verified(clinic.tenant_id, 6)
    assert await anchors.of(other.tenant_id) is None


async def test_the_command_says_so_when_it_can_not_look(settings: Settings, bus_server: BusServer) -> None:
    await bus_server.host.akill(bus_server.server.spec.name)
    code, said = await command(settings, "verify")
    assert (code, said) == (69, "")
