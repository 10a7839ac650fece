"""Requests with a key: done once, answered as the first time, through restarts; forgotten after a day."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from switchboard.bus import Bus
from switchboard.clock import ManualClock, SystemClock
from switchboard.contracts import keys, members
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Actor, Contract, Empty, Rpc, Terms
from switchboard.contracts.snapshot import AgentConfiguration, Holiday
from switchboard.db import Database
from switchboard.errors import InFlight, InternalError, InvalidInput, PreconditionFailed, SwitchboardError
from switchboard.etags import etag
from switchboard.repeats import KEEP, KEEP_SECRET, Attempt, Repeats
from switchboard.rights import Role
from switchboard.sealed import Sealed
from switchboard.service import Service, serve
from tenant_svc.main import compose
from tenant_svc.settings import Settings
from tenant_svc.testing import Clinic, TenantSvc, until

pytestmark = pytest.mark.integration

NUMBER = "+34911000160"


def digest(body: Contract) -> str:
    return hashlib.sha256(repr(body).encode()).hexdigest()


def named(actor: Actor, key: str, body: Contract) -> Actor:
    return actor.model_copy(update={"terms": Terms(key=key, request=digest(body))})


async def ask(svc: TenantSvc, clinic: Clinic, spec: Rpc[Any, Any], body: Contract, key: str) -> Any:
    actor = named(clinic.actor, key, body)
    return await svc.gateway.request(spec, body, tenant_id=clinic.tenant_id, actor=actor)


CREATING: tuple[tuple[Rpc[Any, Any], Contract], ...] = (
    (contract.ADD_LOCATION, contract.NewLocation(name="Sur")),
    (
        contract.CONNECT_TRUNK,
        contract.ConnectTrunk(name="SBC", allowed_addresses=("192.0.2.1",), numbers=("+34911000161",)),
    ),
    (contract.ADD_NUMBER, contract.NewNumber(number="+34911000162")),
    (contract.PUBLISH, Empty()),
    (contract.GO_LIVE, Empty()),
    (contract.PAUSE, Empty()),
    (keys.NEW_KEY, keys.NewKey(name="Booking", scopes=("calls:read",))),
    (members.INVITE, members.Invite(email=Sealed("guest@sol.example"), role=Role.STAFF)),
    (members.LET_SUPPORT_IN, members.LetSupportIn(minutes=60, reason=Sealed("No calls come in"))),
)


async def test_what_creates_is_done_once_and_answered_alike(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    for number, (spec, body) in enumerate(CREATING):
        answers = [await ask(tenant_svc, clinic, spec, body, f"key-{number}") for _ in range(3)]
        assert answers[0] == answers[1] == answers[2], spec.contract()
    # A second time under other keys is a second time.
    assert (await ask(tenant_svc, clinic, contract.PUBLISH, Empty(), "another")).version == 4
    written = [row["action"] for row in await tenant_svc.rows("SELECT action FROM tenancy.audit_log")]
    once = (
        *("trunk.added", "tenant.went_live", "tenant.paused"),
        *("api_key.made", "invitation.sent", "support.let_in"),
    )
    twice = ("location.added", "number.added", "tenant.published")
    assert Counter(written) == {"tenant.signed_up": 1} | dict.fromkeys(once, 1) | dict.fromkeys(twice, 2)
    assert len(await tenant_svc.rows("SELECT 1 FROM tenancy.mails")) == 1


async def test_the_answer_is_that_of_the_first_time_whatever_has_changed(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    first = await ask(tenant_svc, clinic, contract.PUBLISH, Empty(), "monday")
    await ask(tenant_svc, clinic, contract.PUBLISH, Empty(), "tuesday")
    assert await ask(tenant_svc, clinic, contract.PUBLISH, Empty(), "monday") == first


async def test_a_key_stands_for_one_request_of_one_actor(tenant_svc: TenantSvc) -> None:
    clinic, other = await tenant_svc.sign_up(), await tenant_svc.sign_up("Otra")
    norte, sur = contract.NewLocation(name="Norte"), contract.NewLocation(name="Sur")
    first = await ask(tenant_svc, clinic, contract.ADD_LOCATION, norte, "k")
    with pytest.raises(InvalidInput, match="another request") as refused:
        await ask(tenant_svc, clinic, contract.ADD_LOCATION, sur, "k")
    assert (refused.value.status, refused.value.fields[0].fix[:10]) == (422, "send a key")
    colleague = clinic.actor.model_copy(update={"id": "0" * 32})
    theirs = await tenant_svc.gateway.request(
        contract.ADD_LOCATION, sur, tenant_id=clinic.tenant_id, actor=named(colleague, "k", sur)
    )
    assert theirs.name == "Sur"
    made = await ask(tenant_svc, other, contract.ADD_LOCATION, sur, "k")
    assert made.id not in (first.id, theirs.id)


async def test_a_refused_request_did_nothing_and_its_key_is_free(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    wrong = contract.NewNumber(number=NUMBER, trunk="0" * 32)
    for _ in range(2):
        with pytest.raises(InvalidInput, match="no such trunk"):
            await ask(tenant_svc, clinic, contract.ADD_NUMBER, wrong, "k")
    assert (await ask(tenant_svc, clinic, contract.ADD_NUMBER, contract.NewNumber(number=NUMBER), "k")).number == NUMBER


async def test_at_once_one_is_done_and_the_others_are_told_that_it_is_in_flight(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    body = contract.NewLocation(name="Norte")

    async def attempt() -> Any:
        try:
            return await ask(tenant_svc, clinic, contract.ADD_LOCATION, body, "k")
        except SwitchboardError as error:
            return error

    outcomes = await asyncio.gather(*(attempt() for _ in range(12)))
    made = [outcome for outcome in outcomes if not isinstance(outcome, SwitchboardError)]
    assert made
    assert all(one == made[0] for one in made)
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, SwitchboardError)} <= {InFlight}
    view = await tenant_svc.ask(contract.GET_TENANT, Empty(), clinic)
    assert [one.name for one in view.locations] == ["Norte"]


async def test_while_the_first_is_at_work_the_second_does_not_wait(tenant_svc: TenantSvc) -> None:
    """The first one's transaction stands still behind a lock of the tenant."""
    clinic = await tenant_svc.sign_up()
    body = contract.NewLocation(name="Norte")
    conn = await asyncpg.connect(tenant_svc.database.admin_dsn)
    async with conn.transaction():
        await conn.execute("SELECT 1 FROM tenancy.tenants WHERE tenant_id = $1 FOR UPDATE", clinic.tenant_id)
        first = asyncio.create_task(ask(tenant_svc, clinic, contract.ADD_LOCATION, body, "k"))
        await until(lambda: waiting(tenant_svc))
        with pytest.raises(InFlight) as refused:
            await ask(tenant_svc, clinic, contract.ADD_LOCATION, body, "k")
        assert (refused.value.status, refused.value.retryable) == (409, True)
        assert not first.done()
    await conn.close()
    made = await first
    assert await ask(tenant_svc, clinic, contract.ADD_LOCATION, body, "k") == made


async def waiting(svc: TenantSvc) -> bool:
    """Whether somebody waits for the tenant's row."""
    return bool(
        await svc.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'")
    )


async def test_it_is_kept_across_a_restart(settings: Settings, tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    body = contract.NewLocation(name="Norte")
    first = await ask(tenant_svc, clinic, contract.ADD_LOCATION, body, "k")
    tenant_svc.service.stop()
    another = Service("tenant-svc", settings)
    running = asyncio.create_task(serve(another, compose))
    await until(lambda: another.port is not None or running.done())
    try:
        assert await ask(tenant_svc, clinic, contract.ADD_LOCATION, body, "k") == first
    finally:
        another.stop()
        await running


async def test_answers_rest_sealed_and_are_forgotten_after_a_day(
    tenant_svc: TenantSvc, db: Database, own_bus: Bus
) -> None:
    clinic = await tenant_svc.sign_up()
    body = contract.NewLocation(name="Planted words")
    first = await ask(tenant_svc, clinic, contract.ADD_LOCATION, body, "a-planted-key")
    [row] = await tenant_svc.rows("SELECT * FROM tenancy.repeats")
    for planted in (b"Planted words", b"a-planted-key", str(first.id).encode()):
        assert planted not in b"|".join(value for value in row.values() if isinstance(value, bytes))
    actor = named(clinic.actor, "a-planted-key", body)
    clock = ManualClock(SystemClock().now())
    repeats = Repeats("tenancy", own_bus.keyring, clock)

    async def held() -> bool:
        async with db.tenant(clinic.tenant_id) as conn:
            return (await repeats.attempt(conn, clinic.tenant_id, actor)).earlier(type(first)) is not None

    clock.advance((KEEP - timedelta(minutes=1)).total_seconds())
    assert await held()
    assert await repeats.prune(db) == 0
    clock.advance(120)
    assert not await held(), "also before the sweep comes by"
    assert await repeats.prune(db) == 1
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.repeats") == []


async def test_a_kept_api_key_rests_sealed_and_works(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    body = keys.NewKey(name="Booking", scopes=("calls:read",))
    made = await ask(tenant_svc, clinic, keys.NEW_KEY, body, "k")
    again = await ask(tenant_svc, clinic, keys.NEW_KEY, body, "k")
    assert str(again.api_key) == str(made.api_key)
    assert (await tenant_svc.authenticate(again.api_key)).tenant_id == clinic.tenant_id
    [row] = await tenant_svc.rows("SELECT answer FROM tenancy.repeats")
    assert str(made.api_key).rpartition("_")[2].encode() not in bytes(row["answer"])


async def test_a_kept_api_key_is_forgotten_after_ten_minutes(tenant_svc: TenantSvc, db: Database, own_bus: Bus) -> None:
    clinic = await tenant_svc.sign_up()
    body = keys.NewKey(name="Booking", scopes=("calls:read",))
    made = await ask(tenant_svc, clinic, keys.NEW_KEY, body, "k")
    await ask(tenant_svc, clinic, contract.ADD_LOCATION, contract.NewLocation(name="Norte"), "stays")
    clock = ManualClock(SystemClock().now())
    repeats = Repeats("tenancy", own_bus.keyring, clock)

    async def held() -> bool:
        async with db.tenant(clinic.tenant_id) as conn:
            attempt = await repeats.attempt(conn, clinic.tenant_id, named(clinic.actor, "k", body))
            return attempt.earlier(type(made)) is not None

    clock.advance(KEEP_SECRET.total_seconds() - 60)
    assert await held()
    assert await repeats.prune(db) == 0
    clock.advance(120)
    assert not await held(), "also before the sweep comes by"
    assert await repeats.prune(db) == 1
    assert len(await tenant_svc.rows("SELECT 1 FROM tenancy.repeats")) == 1, "what holds no secret stays"


async def test_an_expired_key_may_stand_for_something_else(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    first = await ask(tenant_svc, clinic, contract.ADD_LOCATION, contract.NewLocation(name="Norte"), "k")
    await tenant_svc.rows("UPDATE tenancy.repeats SET created_at = created_at - interval '25 hours'")
    second = await ask(tenant_svc, clinic, contract.ADD_LOCATION, contract.NewLocation(name="Sur"), "k")
    assert second.id != first.id
    assert await ask(tenant_svc, clinic, contract.ADD_LOCATION, contract.NewLocation(name="Sur"), "k") == second


async def test_a_write_that_would_forget_its_answer_is_undone(tenant_svc: TenantSvc, monkeypatch: Any) -> None:
    async def forgetful(self: Attempt, reply: Any) -> Any:
        return reply

    monkeypatch.setattr(Attempt, "keep", forgetful)
    clinic = await tenant_svc.sign_up()
    with pytest.raises(InternalError):
        await ask(tenant_svc, clinic, contract.ADD_LOCATION, contract.NewLocation(name="Norte"), "k")
    assert (await tenant_svc.ask(contract.GET_TENANT, Empty(), clinic)).locations == ()


# Versions


async def test_a_change_of_another_version_is_refused(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    christmas = Holiday.model_validate({"day": "2026-12-25", "name": "Navidad"})
    view = await tenant_svc.ask(contract.GET_TENANT, Empty(), clinic)
    cases: tuple[tuple[Rpc[Any, Any], Contract, Contract], ...] = (
        (contract.SET_AGENT, view.agent, AgentConfiguration(greeting="One")),
        (contract.SET_HOLIDAYS, contract.SetHolidays(holidays=()), contract.SetHolidays(holidays=(christmas,))),
    )
    for spec, held, wanted in cases:

        async def change(body: Contract, *tags: str, of: Rpc[Any, Any] = spec) -> Any:
            actor = clinic.actor.model_copy(update={"terms": Terms(if_match=tags)})
            return await tenant_svc.gateway.request(of, body, tenant_id=clinic.tenant_id, actor=actor)

        await change(wanted, "0" * 32, etag(held))
        with pytest.raises(PreconditionFailed) as refused:
            await change(held, etag(held))
        assert refused.value.status == 412
        await change(held, etag(wanted))
        await change(wanted)  # whoever doesn't ask changes what there is


async def test_of_two_changes_of_one_version_one_is_made(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    held = (await tenant_svc.ask(contract.GET_TENANT, Empty(), clinic)).agent
    actor = clinic.actor.model_copy(update={"terms": Terms(if_match=(etag(held),))})
    changes = [
        tenant_svc.gateway.request(
            contract.SET_AGENT, AgentConfiguration(greeting=str(n)), tenant_id=clinic.tenant_id, actor=actor
        )
        for n in range(6)
    ]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"TenantView": 1, "PreconditionFailed": 5}
