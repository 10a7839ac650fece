"""A clinic's way from signing up to going live, asked for as the gateway asks."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest
from switchboard.bus.topology import TENANT_KEYS
from switchboard.contracts import keys, members
from switchboard.contracts import tenants as contract
from switchboard.contracts.audit import LIST_AUDIT
from switchboard.contracts.base import Actor, Contract, Empty, Page, Rpc, Service
from switchboard.contracts.catalogue import RPCS
from switchboard.contracts.providers import ProviderChains, ProviderChoice
from switchboard.contracts.snapshot import AgentConfiguration, TenantStatus
from switchboard.db import Connection
from switchboard.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from switchboard.outbox import Outbox, OutgoingMessage
from switchboard.rights import Role
from switchboard.sealed import Sealed
from switchboard.subjects import parse_fact
from tenant_svc.testing import HOURS, Clinic, TenantSvc, until

pytestmark = pytest.mark.integration

NUMBER = "+34911000101"


async def test_from_sign_up_to_a_snapshot_that_calls_are_answered_from(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    first = await tenant_svc.publish(clinic)
    live = await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)

    assert (first.version, first.status) == (1, TenantStatus.DRAFT)
    assert (live.version, live.status) == (2, TenantStatus.LIVE)
    snapshot = await tenant_svc.snapshot(clinic)
    assert snapshot is not None
    assert (snapshot.version, snapshot.status, snapshot.time_zone) == (2, TenantStatus.LIVE, "Europe/Madrid")
    assert [binding.number for binding in snapshot.numbers] == [NUMBER]
    assert snapshot.locations[0].hours == HOURS
    view = await tenant_svc.ask(contract.GET_TENANT, Empty(), clinic)
    assert (view.status, view.published_version, view.locations) == (TenantStatus.LIVE, 2, snapshot.locations)


async def test_the_fact_of_a_publication_leaves_through_the_outbox(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    await tenant_svc.publish(clinic)

    async def all_sent() -> bool:
        query = "SELECT subject, sent_at FROM tenancy.outbox WHERE subject NOT LIKE '%.audit_head' ORDER BY seq"
        rows = await tenant_svc.rows(query)
        assert [row["subject"].rpartition(".")[2] for row in rows] == ["created", "published"]
        return all(row["sent_at"] is not None for row in rows)

    await until(all_sent)


async def test_a_sign_up_that_fails_leaves_nothing_behind(
    tenant_svc: TenantSvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[uuid.UUID] = []

    async def fails(self: Outbox, conn: Connection, message: OutgoingMessage, *, key: str | None = None) -> None:
        tenant_id = parse_fact(message.subject).tenant_id
        assert tenant_id is not None
        # The fact is sealed with the tenant's key, so by now the fleet knows that key.
        assert await tenant_svc.reader.bucket(TENANT_KEYS).get(tenant_id.hex) is not None
        made.append(tenant_id)
        raise Unavailable

    monkeypatch.setattr(Outbox, "add", fails)
    with pytest.raises(Unavailable):
        await tenant_svc.sign_up()
    [tenant_id] = made
    assert await tenant_svc.reader.bucket(TENANT_KEYS).get(tenant_id.hex) is None
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.tenants") == []


async def test_another_tenants_actor_finds_nothing(tenant_svc: TenantSvc) -> None:
    one, other = await tenant_svc.ready_clinic(NUMBER), await tenant_svc.sign_up("Otra")
    trunk = contract.ConnectTrunk(name="x", allowed_addresses=("192.0.2.1",), numbers=("+34911000199",))
    asked: list[tuple[Rpc[Any, Any], Contract]] = [
        (contract.GET_TENANT, Empty()),
        (contract.ADD_LOCATION, contract.NewLocation(name="Sur")),
        (contract.SET_HOLIDAYS, contract.SetHolidays(holidays=())),
        (contract.ADD_NUMBER, contract.NewNumber(number="+34911000199")),
        (contract.CONNECT_TRUNK, trunk),
        (contract.ADD_TRUNK, contract.NewTrunk(**trunk.model_dump())),
        (LIST_AUDIT, Page()),
        (contract.LIST_TRUNKS, Empty()),
        (contract.SET_AGENT, AgentConfiguration()),
        (contract.LIST_PROVIDERS, Empty()),
        (contract.PUBLISH, Empty()),
        (contract.GO_LIVE, Empty()),
        (contract.PAUSE, Empty()),
        (keys.NEW_KEY, keys.NewKey(name="x", scopes=("calls:read",))),
        (keys.LIST_KEYS, Empty()),
        (members.LIST_MEMBERS, Empty()),
        (members.SET_ROLE, members.SetRole(user_id=uuid.UUID(one.actor.id), role=Role.STAFF)),
        (members.REMOVE_MEMBER, members.RemoveMember(user_id=uuid.UUID(one.actor.id))),
        (members.INVITE, members.Invite(email=Sealed("a@b.example"), role=Role.STAFF)),
        (members.LIST_INVITATIONS, Empty()),
        (members.REVOKE_INVITATION, members.RevokeInvitation(invitation_id=uuid.uuid4())),
        (members.LET_SUPPORT_IN, members.LetSupportIn(minutes=60, reason=Sealed("x"))),
        (members.LIST_SUPPORT_ACCESS, Empty()),
        (members.END_SUPPORT_ACCESS, members.EndSupportAccess(access_id=uuid.uuid4())),
        (keys.REVOKE_KEY, keys.RevokeKey(key_id=(await tenant_svc.new_key(one)).key.key_id)),
    ]
    of_nobody = {keys.AUTHENTICATE.contract()}
    served = {
        spec.contract()
        for spec in RPCS
        if spec.server is Service.TENANT_SVC and not spec.contract().startswith("identity.")
    }
    assert {spec.contract() for spec, _ in asked} == served - of_nobody
    for spec, body in asked:
        for actor in (other.actor, Actor.anonymous(), one.actor.model_copy(update={"kind": "service"})):
            with pytest.raises(NotFound):
                await tenant_svc.gateway.request(spec, body, tenant_id=one.tenant_id, actor=actor)


async def test_who_reads_only_may_look_and_not_write(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    member = Clinic(clinic.tenant_id, clinic.actor.model_copy(update={"roles": ("read_only",)}))
    assert (await tenant_svc.ask(contract.GET_TENANT, Empty(), member)).name == "Clinica Norte"
    with pytest.raises(Forbidden, match="live:write"):
        await tenant_svc.ask(contract.PUBLISH, Empty(), member)
    with pytest.raises(Forbidden, match="audit:read"):
        await tenant_svc.ask(LIST_AUDIT, Page(), member)


async def test_going_live_names_what_is_missing(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    with pytest.raises(Conflict, match="a phone number and a location with opening hours"):
        await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)
    await tenant_svc.ask(contract.ADD_LOCATION, contract.NewLocation(name="Centro"), clinic)
    await tenant_svc.ask(contract.ADD_NUMBER, contract.NewNumber(number=NUMBER), clinic)
    with pytest.raises(Conflict, match=r"needs opening hours for one of the locations$"):
        await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)


async def test_a_live_clinic_can_not_publish_itself_off_the_air(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)
    await tenant_svc.rows("DELETE FROM tenancy.numbers")
    with pytest.raises(Conflict, match="a phone number"):
        await tenant_svc.publish(clinic)


async def test_a_number_belongs_to_one_tenant_on_one_path(tenant_svc: TenantSvc) -> None:
    one, other = await tenant_svc.sign_up(), await tenant_svc.sign_up("Otra")
    bound = contract.NewNumber(number=NUMBER, carrier_account="AC1")
    await tenant_svc.ask(contract.ADD_NUMBER, bound, one)
    messages = set()
    for clinic, body in (
        (one, bound),
        (other, bound),
        (other, contract.NewNumber(number=NUMBER)),  # without an account it would stand beside the other's
    ):
        with pytest.raises(Conflict) as refused:
            await tenant_svc.ask(contract.ADD_NUMBER, body, clinic)
        messages.add(refused.value.detail)
    assert len(messages) == 1
    await tenant_svc.ask(contract.ADD_NUMBER, contract.NewNumber(number=NUMBER, carrier_account="AC2"), other)


async def test_of_many_who_bind_one_number_at_once_one_gets_it(tenant_svc: TenantSvc) -> None:
    clinics = [await tenant_svc.sign_up(f"Clinica {number}") for number in range(4)]
    accounts = (None, "AC1", None, "AC1")
    asked = [
        tenant_svc.ask(contract.ADD_NUMBER, contract.NewNumber(number=NUMBER, carrier_account=account), clinic)
        for clinic, account in zip(clinics, accounts, strict=True)
    ]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 3 + ["NumberBinding"]


async def test_many_publications_at_once_make_one_row_of_versions(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    done = await asyncio.gather(*(tenant_svc.publish(clinic) for _ in range(8)))
    assert sorted(published.version for published in done) == list(range(1, 9))
    snapshot = await tenant_svc.snapshot(clinic)
    assert snapshot is not None
    assert snapshot.version == 8


async def test_published_versions_and_the_audit_can_not_be_changed_by_this_service(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    await tenant_svc.publish(clinic)
    conn = await asyncpg.connect(tenant_svc.database.dsn("tenant_svc"))
    for statement in (
        "UPDATE tenancy.configurations SET status = 'live'",
        "DELETE FROM tenancy.configurations",
        "UPDATE tenancy.audit SET action = ''",
        "DELETE FROM tenancy.audit",
        "UPDATE tenancy.audit_log SET action = ''",
        "DELETE FROM tenancy.audit_log",
        "TRUNCATE tenancy.audit_log",
        "DELETE FROM tenancy.audit_chains",
        "TRUNCATE tenancy.audit_chains",
        "ALTER TABLE tenancy.audit_log DISABLE ROW LEVEL SECURITY",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(statement)
    await conn.close()


async def test_every_write_leaves_a_row_that_says_who_and_what(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(greeting="Hola"), clinic)
    await tenant_svc.ask(contract.SET_HOLIDAYS, contract.SetHolidays(holidays=()), clinic)
    with pytest.raises(Conflict):
        await tenant_svc.ask(contract.ADD_NUMBER, contract.NewNumber(number=NUMBER), clinic)
    await tenant_svc.publish(clinic)
    rows = await tenant_svc.rows("SELECT action, actor_kind, actor_id FROM tenancy.audit_log ORDER BY seq")
    assert [row["action"] for row in rows] == [
        "tenant.signed_up",
        "location.added",
        "number.added",
        "agent.set",
        "holidays.set",
        "tenant.published",
    ]
    assert {(row["actor_kind"], row["actor_id"]) for row in rows} == {("user", clinic.actor.id)}
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.audit") == []


async def test_pausing_does_not_publish_half_an_edit(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    with pytest.raises(Conflict, match="only a live account"):
        await tenant_svc.ask(contract.PAUSE, Empty(), clinic)
    await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)
    await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(greeting="Half a sen"), clinic)
    paused = await tenant_svc.ask(contract.PAUSE, Empty(), clinic)
    again = await tenant_svc.ask(contract.PAUSE, Empty(), clinic)

    assert (paused.version, paused.status) == (2, TenantStatus.PAUSED)
    assert again == paused
    snapshot = await tenant_svc.snapshot(clinic)
    assert snapshot is not None
    assert (snapshot.status, snapshot.agent.greeting) == (TenantStatus.PAUSED, "")


async def test_chosen_providers_are_stored_and_published(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    offered = await tenant_svc.ask(contract.LIST_PROVIDERS, Empty(), clinic)
    assert [view.endpoint for view in offered.providers] == ["ear", "openai-main", "offline"]
    chains = ProviderChains(
        stt=(ProviderChoice(endpoint="ear", model="nova-3", deadline_ms=900),),
        llm=(ProviderChoice(endpoint="openai-main"), ProviderChoice(endpoint="offline")),
        embeddings=ProviderChoice(endpoint="openai-main", model="text-embedding-3-small"),
    )

    view = await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(providers=chains), clinic)
    await tenant_svc.publish(clinic)
    await tenant_svc.settled()

    assert view.agent.providers == chains
    snapshot = await tenant_svc.snapshot(clinic)
    assert snapshot is not None
    assert snapshot.agent.providers == chains


async def test_a_provider_that_is_not_there_changes_nothing(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    wrong = ProviderChains(tts=(ProviderChoice(endpoint="ear"),), embeddings=ProviderChoice(endpoint="elsewhere"))
    with pytest.raises(InvalidInput) as refused:
        await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(greeting="Hola", providers=wrong), clinic)
    assert [(field.pointer, field.fix) for field in refused.value.fields] == [
        ("/providers/tts/0/endpoint", "choose one of openai-main, offline"),
        ("/providers/embeddings/endpoint", "choose one of openai-main, offline"),
    ]
    assert (await tenant_svc.ask(contract.GET_TENANT, Empty(), clinic)).agent == AgentConfiguration()


async def test_what_is_wrong_is_named_with_its_field(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    with pytest.raises(InvalidInput) as refused:
        await tenant_svc.ask(
            contract.CONNECT_TRUNK,
            contract.ConnectTrunk(
                name="ours",
                allowed_addresses=("127.0.0.1", "10.0.0.0/8"),
                numbers=("0911000101",),
                auth_username="sbc",
            ),
            clinic,
        )
    assert [field.pointer for field in refused.value.fields] == [
        "/numbers/0",
        "/allowed_addresses/0",
        "/allowed_addresses/1",
        "/auth_password",
    ]
    assert all(field.fix for field in refused.value.fields)


async def test_a_number_on_a_trunk_needs_that_trunk(tenant_svc: TenantSvc) -> None:
    one, other = await tenant_svc.sign_up(), await tenant_svc.sign_up("Otra")
    trunk = contract.ConnectTrunk(name="sbc", allowed_addresses=("192.0.2.1",), numbers=(NUMBER,))
    added = await tenant_svc.ask(contract.CONNECT_TRUNK, trunk, one)
    assert (await tenant_svc.ask(contract.LIST_TRUNKS, Empty(), one)).trunks == (added,)
    assert (await tenant_svc.ask(contract.LIST_TRUNKS, Empty(), other)).trunks == ()
    body = contract.NewNumber(number=NUMBER, trunk=added.trunk_id.hex)
    with pytest.raises(InvalidInput, match="no such trunk"):
        await tenant_svc.ask(contract.ADD_NUMBER, body, other)
    with pytest.raises(InvalidInput, match="takes no calls to this number"):
        await tenant_svc.ask(contract.ADD_NUMBER, body.model_copy(update={"number": "+34911000102"}), one)
    with pytest.raises(Conflict):
        await tenant_svc.ask(contract.CONNECT_TRUNK, trunk, other)
    assert (await tenant_svc.ask(contract.ADD_NUMBER, body, one)).trunk == added.trunk_id.hex
