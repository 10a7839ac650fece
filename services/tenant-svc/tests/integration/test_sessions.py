"""Sessions: listed, ended, replaced; being in one tenant at a time; disabled people."""

from __future__ import annotations

import asyncio
import secrets
from uuid import UUID

import asyncpg
import pytest
from switchboard.clock import SystemClock
from switchboard.contracts import identity, members, tenants
from switchboard.contracts.base import Actor, Contract, Empty, Rpc
from switchboard.contracts.catalogue import RPCS
from switchboard.db import Database
from switchboard.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from switchboard.ids import Ids
from switchboard.sealed import Sealed
from tenant_svc.identity.passwords import HASHER
from tenant_svc.identity.sessions import Sessions
from tenant_svc.tenants.service import MOST
from tenant_svc.testing import TenantSvc, sha256

pytestmark = pytest.mark.integration

EMAIL = "office@sol.example"
PASSWORD = "correct horse battery staple"


async def registered(tenant_svc: TenantSvc, email: str = EMAIL) -> UUID:
    person = await tenant_svc.person(email)
    await tenant_svc.rows(
        "UPDATE tenancy.accounts SET password_hash = $2 WHERE id = $1", UUID(person.id), HASHER.hash(PASSWORD)
    )
    await tenant_svc.rows("DELETE FROM tenancy.sessions")
    return UUID(person.id)


async def signed_in(tenant_svc: TenantSvc, email: str = EMAIL) -> identity.SignedIn:
    body = identity.SignIn(email=Sealed(email), password=Sealed(PASSWORD))
    session: identity.SignedIn = await tenant_svc.ask_as(identity.SIGN_IN, body)
    return session


async def founded(tenant_svc: TenantSvc, actor: Actor, name: str) -> UUID:
    body = identity.NewTenant(name=name, time_zone="Europe/Madrid")
    made: identity.TenantMade = await tenant_svc.ask_as(identity.NEW_TENANT, body, actor)
    return made.tenant_id


async def chosen(tenant_svc: TenantSvc, actor: Actor, tenant_id: UUID) -> identity.SignedIn:
    body = identity.ChooseTenant(tenant_id=tenant_id)
    session: identity.SignedIn = await tenant_svc.ask_as(identity.CHOOSE_TENANT, body, actor)
    return session


async def test_each_signing_in_is_a_session_of_its_own(tenant_svc: TenantSvc) -> None:
    """With a token that nobody could have put there before."""
    await registered(tenant_svc)
    sessions = [await signed_in(tenant_svc) for _ in range(3)]
    assert len({session.token for session in sessions}) == 3
    actors = [await tenant_svc.who(session) for session in sessions]
    listed = (await tenant_svc.ask_as(identity.LIST_SESSIONS, Empty(), actors[1])).sessions
    assert {shown.session_id for shown in listed} == {actor.session_id for actor in actors}
    assert [shown.session_id for shown in listed if shown.current] == [actors[1].session_id]
    stored = await tenant_svc.rows("SELECT s::text AS row FROM tenancy.sessions AS s")
    assert [row for row in stored if any(session.token in row["row"] for session in sessions)] == []


async def test_an_ended_session_is_out_at_the_next_request_and_only_its_owner_ends_it(tenant_svc: TenantSvc) -> None:
    await registered(tenant_svc)
    one, other = await signed_in(tenant_svc), await signed_in(tenant_svc)
    first, second = await tenant_svc.who(one), await tenant_svc.who(other)
    assert first.session_id is not None
    stranger = await tenant_svc.person()
    with pytest.raises(NotFound):
        await tenant_svc.ask_as(identity.END_SESSION, identity.EndSession(session_id=first.session_id), stranger)
    await tenant_svc.ask_as(identity.END_SESSION, identity.EndSession(session_id=first.session_id), second)
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(one)
    assert await tenant_svc.who(other) == second


@pytest.mark.parametrize(
    "change",
    [
        "expires_at = now()",
        "last_seen_at = now() - interval '24 hours 1 second'",
        "ended_at = now()",
        "stage = 'second_factor'",
    ],
)
async def test_a_session_that_is_over_lets_nobody_in(tenant_svc: TenantSvc, change: str) -> None:
    await registered(tenant_svc)
    session = await signed_in(tenant_svc)
    await tenant_svc.who(session)
    await tenant_svc.rows(f"UPDATE tenancy.sessions SET {change}")
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(session)


async def test_somebody_who_is_disabled_is_out_at_the_next_request(tenant_svc: TenantSvc) -> None:
    account_id = await registered(tenant_svc)
    session = await signed_in(tenant_svc)
    answer = await tenant_svc.operate("POST", "/ops/people/disable", email=EMAIL.upper())
    assert (answer.status_code, answer.json()) == (200, {"user_id": account_id.hex})
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(session)
    with pytest.raises(NotAuthenticated):
        await signed_in(tenant_svc)
    assert (await tenant_svc.operate("POST", "/ops/people/enable", email=EMAIL)).status_code == 200
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(session)
    await tenant_svc.who(await signed_in(tenant_svc))
    assert (await tenant_svc.operate("POST", "/ops/people/disable", email="x@y.example")).status_code == 404
    assert (await tenant_svc.operate("POST", "/ops/people/disable", token="x" * 30, email=EMAIL)).status_code == 401


async def test_an_account_that_is_disabled_without_ending_its_sessions_is_out_as_well(tenant_svc: TenantSvc) -> None:
    await registered(tenant_svc)
    session = await signed_in(tenant_svc)
    await tenant_svc.rows("UPDATE tenancy.accounts SET disabled_at = now()")
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(session)


async def test_one_person_in_two_tenants_is_in_one_at_a_time(tenant_svc: TenantSvc) -> None:
    await registered(tenant_svc)
    session = await signed_in(tenant_svc)
    actor = await tenant_svc.who(session)
    north, south = await founded(tenant_svc, actor, "Norte"), await founded(tenant_svc, actor, "Sur")
    assert (await tenant_svc.who(session)).tenant_id is None

    in_north = await chosen(tenant_svc, actor, north)
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(session)
    there = await tenant_svc.who(in_north)
    assert (there.tenant_id, there.roles, there.id) == (north, ("owner",), actor.id)
    assert in_north.expires_at == session.expires_at
    view = await tenant_svc.gateway.request(tenants.GET_TENANT, Empty(), tenant_id=north, actor=there)
    assert view.name == "Norte"
    with pytest.raises(NotFound):
        await tenant_svc.gateway.request(tenants.GET_TENANT, Empty(), tenant_id=south, actor=there)

    in_south = await tenant_svc.who(await chosen(tenant_svc, there, south))
    assert in_south.tenant_id == south
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(in_north)
    me = await tenant_svc.ask_as(identity.ME, Empty(), in_south)
    assert (me.tenant_id, [(one.name, one.role) for one in me.tenants]) == (
        south,
        [("Norte", "owner"), ("Sur", "owner")],
    )


async def test_nobody_chooses_a_tenant_that_is_not_theirs(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    stranger = await tenant_svc.person()
    for tenant_id in (clinic.tenant_id, UUID(int=7)):
        with pytest.raises(NotFound):
            await chosen(tenant_svc, stranger, tenant_id)
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.session_tenants") == []
    # The session that was not replaced goes on.
    assert await tenant_svc.ask_as(identity.ME, Empty(), stranger)


async def test_whoever_is_no_member_any_more_is_in_no_tenant_at_the_next_request(tenant_svc: TenantSvc) -> None:
    await registered(tenant_svc)
    actor = await tenant_svc.who(await signed_in(tenant_svc))
    session = await chosen(tenant_svc, actor, await founded(tenant_svc, actor, "Norte"))
    await tenant_svc.rows("UPDATE tenancy.members SET role = 'read_only'")
    assert (await tenant_svc.who(session)).roles == ("read_only",)
    await tenant_svc.rows("DELETE FROM tenancy.members")
    left = await tenant_svc.who(session)
    assert (left.tenant_id, left.roles) == (None, ())


async def test_a_new_password_keeps_this_session_in_its_tenant_and_ends_the_others(tenant_svc: TenantSvc) -> None:
    await registered(tenant_svc)
    other = await signed_in(tenant_svc)
    actor = await tenant_svc.who(await signed_in(tenant_svc))
    tenant_id = await founded(tenant_svc, actor, "Norte")
    here = await chosen(tenant_svc, actor, tenant_id)
    there = await tenant_svc.who(here)

    def change(current: str, password: str) -> identity.ChangePassword:
        return identity.ChangePassword(current=Sealed(current), password=Sealed(password))

    with pytest.raises(InvalidInput, match="not that one"):
        await tenant_svc.ask_as(
            identity.CHANGE_PASSWORD, change("not that one at all", "a new sentence of mine"), there
        )
    with pytest.raises(InvalidInput):
        await tenant_svc.ask_as(identity.CHANGE_PASSWORD, change(PASSWORD, "short"), there)
    fresh = await tenant_svc.ask_as(identity.CHANGE_PASSWORD, change(PASSWORD, "a new sentence of mine"), there)
    assert (await tenant_svc.who(fresh)).tenant_id == tenant_id
    for ended in (other, here):
        with pytest.raises(NotAuthenticated):
            await tenant_svc.who(ended)
    with pytest.raises(NotAuthenticated):
        await signed_in(tenant_svc)


async def test_no_session_outlives_the_password_that_opened_it(tenant_svc: TenantSvc) -> None:
    """However signing in and changing the password fall together."""
    account_id = await registered(tenant_svc)
    other = HASHER.hash("a new sentence of mine")
    conn = await asyncpg.connect(tenant_svc.database.admin_dsn)
    change = conn.transaction()
    await change.start()
    await conn.execute("SELECT 1 FROM tenancy.accounts WHERE id = $1 FOR UPDATE", account_id)
    signing_in = asyncio.create_task(signed_in(tenant_svc))
    while not await tenant_svc.rows(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ):
        assert not signing_in.done()
    await conn.execute("UPDATE tenancy.sessions SET ended_at = now()")
    await conn.execute("UPDATE tenancy.accounts SET password_hash = $2 WHERE id = $1", account_id, other)
    await change.commit()
    await conn.close()
    with pytest.raises(NotAuthenticated):
        await signing_in
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.sessions WHERE ended_at IS NULL") == []


async def test_what_has_been_over_for_long_is_forgotten(tenant_svc: TenantSvc, db: Database) -> None:
    """Sessions with the tenant that they were in, and links; what is in force stays."""
    await registered(tenant_svc)
    actor = await tenant_svc.who(await signed_in(tenant_svc))
    tenant_id = await founded(tenant_svc, actor, "Norte")
    ended, kept = await chosen(tenant_svc, actor, tenant_id), await signed_in(tenant_svc)
    gone = await tenant_svc.who(ended)
    assert gone.session_id is not None
    await tenant_svc.ask_as(identity.END_SESSION, identity.EndSession(session_id=gone.session_id), gone)
    here = await tenant_svc.who(await chosen(tenant_svc, await tenant_svc.who(kept), tenant_id))
    await tenant_svc.rows("UPDATE tenancy.sessions SET ended_at = ended_at - interval '30 days 1 minute'")
    sessions = Sessions(db, Ids(SystemClock()), SystemClock(), secrets.token_bytes)

    await sessions.prune()

    assert [row["id"] for row in await tenant_svc.rows("SELECT id FROM tenancy.sessions")] == [here.session_id]
    held = await tenant_svc.rows("SELECT session_id FROM tenancy.session_tenants")
    assert [row["session_id"] for row in held] == [here.session_id]


async def test_there_is_an_end_to_the_tenants_of_one_person(tenant_svc: TenantSvc) -> None:
    actor = await tenant_svc.person()
    for number in range(MOST):
        await founded(tenant_svc, actor, f"Clinic {number}")
    with pytest.raises(Conflict):
        await founded(tenant_svc, actor, "One too many")


async def test_what_is_a_persons_own_is_for_nobody_else(tenant_svc: TenantSvc) -> None:
    """Not for a key, a service, nobody, or somebody without a session; and no subject names a tenant."""
    clinic = await tenant_svc.sign_up()
    key = await tenant_svc.authenticate((await tenant_svc.new_key(clinic)).api_key)
    digest = sha256("x")
    email, code = Sealed("a@b.example"), identity.Code(code=Sealed("123456"))
    own: dict[str, tuple[Rpc, Contract]] = {  # type: ignore[type-arg]
        spec.contract(): (spec, body)
        for spec, body in (
            (identity.ME, Empty()),
            (identity.LIST_SESSIONS, Empty()),
            (identity.END_SESSION, identity.EndSession(session_id=UUID(int=1))),
            (identity.CHANGE_PASSWORD, identity.ChangePassword(current=None, password=email)),
            (identity.BEGIN_TOTP, Empty()),
            (identity.CONFIRM_TOTP, code),
            (identity.DISABLE_TOTP, code),
            (identity.NEW_TENANT, identity.NewTenant(name="x", time_zone="UTC")),
            (identity.CHOOSE_TENANT, identity.ChooseTenant(tenant_id=clinic.tenant_id)),
            (members.ACCEPT_INVITATION, members.AcceptInvitation(invitation_id=UUID(int=1), secret_sha256=digest)),
        )
    }
    opening: dict[str, tuple[Rpc, Contract]] = {  # type: ignore[type-arg]
        spec.contract(): (spec, body)
        for spec, body in (
            (identity.WANT_LINK, identity.WantLink(purpose="reset", email=email, browser_sha256=digest)),
            (
                identity.REDEEM_LINK,
                identity.RedeemLink(link_id=UUID(int=1), secret_sha256=digest, browser_sha256=digest),
            ),
            (identity.SIGN_IN, identity.SignIn(email=email, password=email)),
            (identity.SECOND_FACTOR, identity.SecondFactor(token_sha256=digest, code=email)),
            (identity.AUTHENTICATE_SESSION, identity.AuthenticateSession(token_sha256=digest)),
        )
    }
    served = {spec.contract() for spec in RPCS if spec.service == "identity"}
    assert {*own, *opening} == served
    nobody = [
        Actor.anonymous(),
        Actor(kind="service", id="rag-svc"),
        clinic.actor.model_copy(update={"session_id": None}),
    ]
    for spec, body in own.values():
        with pytest.raises(Forbidden, match="this is for people"):
            await tenant_svc.ask_as(spec, body, key)
        for actor in nobody:
            with pytest.raises(NotAuthenticated):
                await tenant_svc.ask_as(spec, body, actor)
    for spec, body in (*own.values(), *opening.values()):
        with pytest.raises(InvalidInput):
            await tenant_svc.gateway.request(spec, body, tenant_id=clinic.tenant_id, actor=clinic.actor)
