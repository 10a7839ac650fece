"""Members and their roles, invitations, and that an owner is left."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from fleet.mailbox.box import Mailbox
from switchboard.contracts import identity, members
from switchboard.contracts.base import Actor, Empty, Terms
from switchboard.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound, PreconditionFailed
from switchboard.etags import etag
from switchboard.rights import Role
from switchboard.sealed import Sealed
from tenant_svc.members.service import LAST_OWNER
from tenant_svc.testing import CONSOLE, Clinic, TenantSvc, sha256

pytestmark = pytest.mark.integration

GUEST = "guest@sol.example"


async def joined(tenant_svc: TenantSvc, clinic: Clinic, role: Role) -> Actor:
    """A member, put there past the invitation."""
    person = await tenant_svc.person()
    await tenant_svc.rows(
        "INSERT INTO tenancy.members (tenant_id, account_id, role, created_at) VALUES ($1, $2, $3, now())",
        clinic.tenant_id,
        UUID(person.id),
        role.value,
    )
    return person.model_copy(update={"tenant_id": clinic.tenant_id, "roles": (role.value,)})


async def as_(tenant_svc: TenantSvc, spec: Any, body: Any, actor: Actor) -> Any:
    return await tenant_svc.gateway.request(spec, body, tenant_id=actor.tenant_id, actor=actor)


async def set_role(tenant_svc: TenantSvc, actor: Actor, who: Actor, role: Role) -> Any:
    return await as_(tenant_svc, members.SET_ROLE, members.SetRole(user_id=UUID(who.id), role=role), actor)


async def remove(tenant_svc: TenantSvc, actor: Actor, who: Actor) -> None:
    await as_(tenant_svc, members.REMOVE_MEMBER, members.RemoveMember(user_id=UUID(who.id)), actor)


async def roles(tenant_svc: TenantSvc, clinic: Clinic) -> dict[str, str]:
    rows = await tenant_svc.rows("SELECT account_id, role FROM tenancy.members WHERE tenant_id = $1", clinic.tenant_id)
    return {row["account_id"].hex: row["role"] for row in rows}


# -- roles ------------------------------------------------------------------------------------------------------------


async def test_an_admin_decides_on_everybody_but_owners(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    admin, staff = await joined(tenant_svc, clinic, Role.ADMIN), await joined(tenant_svc, clinic, Role.STAFF)
    changed = await set_role(tenant_svc, admin, staff, Role.READ_ONLY)
    assert (changed.user_id.hex, changed.role) == (staff.id, Role.READ_ONLY)
    for who, role in ((staff, Role.OWNER), (admin, Role.OWNER), (clinic.actor, Role.STAFF)):
        with pytest.raises(Forbidden, match="owners:write"):
            await set_role(tenant_svc, admin, who, role)
    with pytest.raises(Forbidden, match="owners:write"):
        await remove(tenant_svc, admin, clinic.actor)
    for who in (staff, admin):
        with pytest.raises(Forbidden, match="members:write"):
            await set_role(tenant_svc, staff.model_copy(update={"roles": ("staff",)}), who, Role.ADMIN)
    await remove(tenant_svc, admin, staff)
    assert await roles(tenant_svc, clinic) == {clinic.actor.id: "owner", admin.id: "admin"}


async def test_a_change_of_another_role_than_the_one_looked_at_is_refused(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    staff = await joined(tenant_svc, clinic, Role.STAFF)
    looked_at = members.SetRole(user_id=UUID(staff.id), role=Role.STAFF)
    late = clinic.actor.model_copy(update={"terms": Terms(if_match=(etag(looked_at),))})
    await set_role(tenant_svc, late, staff, Role.ADMIN)
    for change in (set_role(tenant_svc, late, staff, Role.READ_ONLY), remove(tenant_svc, late, staff)):
        with pytest.raises(PreconditionFailed):
            await change
    assert (await roles(tenant_svc, clinic))[staff.id] == "admin"
    await remove(tenant_svc, clinic.actor, staff)


async def test_the_last_owner_can_not_be_removed_leave_or_step_down(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    with pytest.raises(Conflict, match=LAST_OWNER):
        await remove(tenant_svc, clinic.actor, clinic.actor)
    with pytest.raises(Conflict, match=LAST_OWNER):
        await set_role(tenant_svc, clinic.actor, clinic.actor, Role.ADMIN)
    other = await joined(tenant_svc, clinic, Role.STAFF)
    await set_role(tenant_svc, clinic.actor, other, Role.OWNER)
    await remove(tenant_svc, clinic.actor, clinic.actor)
    assert await roles(tenant_svc, clinic) == {other.id: "owner"}


@pytest.mark.parametrize("how", ["remove", "demote", "leave"])
async def test_of_two_owners_who_go_at_once_one_is_left(tenant_svc: TenantSvc, how: str) -> None:
    for _ in range(5):
        clinic = await tenant_svc.sign_up()
        one, other = clinic.actor, await joined(tenant_svc, clinic, Role.OWNER)
        work = {
            "remove": (remove(tenant_svc, one, other), remove(tenant_svc, other, one)),
            "demote": (
                set_role(tenant_svc, one, other, Role.STAFF),
                set_role(tenant_svc, other, one, Role.STAFF),
            ),
            "leave": (remove(tenant_svc, one, one), remove(tenant_svc, other, other)),
        }
        results = await asyncio.gather(*work.pop(how), return_exceptions=True)
        for unused in work.values():
            for coroutine in unused:
                coroutine.close()
        assert [type(result) for result in results].count(Conflict) == 1, results
        assert list((await roles(tenant_svc, clinic)).values()).count("owner") == 1


async def test_everybody_may_leave_and_nobody_removes_without_the_right(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    reader, other = await joined(tenant_svc, clinic, Role.READ_ONLY), await joined(tenant_svc, clinic, Role.STAFF)
    with pytest.raises(Forbidden, match="members:write"):
        await remove(tenant_svc, reader, other)
    await remove(tenant_svc, reader, reader)
    with pytest.raises(NotFound):
        await remove(tenant_svc, clinic.actor, reader)
    key = await tenant_svc.authenticate((await tenant_svc.new_key(clinic, "members:read")).api_key)
    with pytest.raises(Forbidden):
        await remove(tenant_svc, key, other)
    found: members.MemberList = await as_(tenant_svc, members.LIST_MEMBERS, Empty(), key)
    assert {member.user_id.hex for member in found.members} == {clinic.actor.id, other.id}


async def test_another_tenants_member_is_not_there(tenant_svc: TenantSvc) -> None:
    clinic, other = await tenant_svc.sign_up(), await tenant_svc.sign_up("Otra")
    with pytest.raises(NotFound):
        await remove(tenant_svc, clinic.actor, other.actor)
    with pytest.raises(NotFound):
        await set_role(tenant_svc, clinic.actor, other.actor, Role.STAFF)
    assert await roles(tenant_svc, other) == {other.actor.id: "owner"}


# -- invitations ------------------------------------------------------------------------------------------------------


async def invite(
    tenant_svc: TenantSvc, actor: Actor, role: Role = Role.STAFF, email: str = GUEST
) -> members.InvitationView:
    view: members.InvitationView = await as_(
        tenant_svc, members.INVITE, members.Invite(email=Sealed(email), role=role), actor
    )
    return view


async def token_of(mailbox: Mailbox, view: members.InvitationView) -> members.AcceptInvitation:
    """What the mail brings."""
    while True:
        mail = await mailbox.wait(GUEST)
        links = [link for one in mailbox.to(GUEST) for link in one.links if view.invitation_id.hex in link]
        if links:
            break
        await mailbox.wait(GUEST, mail.number)
    assert links[0].startswith(f"{CONSOLE}/invitation#")
    secret = links[0].rpartition(".")[2]
    return members.AcceptInvitation(invitation_id=view.invitation_id, secret_sha256=sha256(secret))


async def test_an_invitation_brings_in_whoever_has_the_address(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    clinic = await tenant_svc.sign_up("Sol")
    view = await invite(tenant_svc, clinic.actor)
    body = await token_of(mailbox, view)
    assert "Sol" in mailbox.to(GUEST)[0].text
    guest = await tenant_svc.person(GUEST.upper())
    accepted = await tenant_svc.ask_as(members.ACCEPT_INVITATION, body, guest)
    assert accepted == members.Accepted(tenant_id=clinic.tenant_id, role=Role.STAFF)
    session = await tenant_svc.ask_as(identity.CHOOSE_TENANT, identity.ChooseTenant(tenant_id=clinic.tenant_id), guest)
    assert (await tenant_svc.who(session)).roles == ("staff",)
    with pytest.raises(NotFound):
        await tenant_svc.ask_as(members.ACCEPT_INVITATION, body, await tenant_svc.who(session))
    with pytest.raises(Conflict):
        await invite(tenant_svc, clinic.actor)


async def test_nobody_else_can_use_it_not_even_with_its_token(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    clinic = await tenant_svc.sign_up()
    body = await token_of(mailbox, await invite(tenant_svc, clinic.actor))
    stranger, guest = await tenant_svc.person("stranger@sol.example"), await tenant_svc.person(GUEST)
    wrong = body.model_copy(update={"secret_sha256": sha256("x")})
    unknown = body.model_copy(update={"invitation_id": UUID(int=3)})
    said = []
    for refused, actor in ((body, stranger), (wrong, guest), (unknown, guest)):
        with pytest.raises(NotFound) as caught:
            await tenant_svc.ask_as(members.ACCEPT_INVITATION, refused, actor)
        said.append(caught.value.to_problem())
    assert said[0] == said[1] == said[2]
    assert list(await roles(tenant_svc, clinic)) == [clinic.actor.id]


@pytest.mark.parametrize("end", ["expires_at = now() - interval '1 second'", "revoked_at = now()"])
async def test_one_that_is_too_old_or_revoked_brings_nobody_in(
    tenant_svc: TenantSvc, mailbox: Mailbox, end: str
) -> None:
    clinic = await tenant_svc.sign_up()
    body = await token_of(mailbox, await invite(tenant_svc, clinic.actor))
    await tenant_svc.rows(f"UPDATE tenancy.invitations SET {end}")
    with pytest.raises(NotFound):
        await tenant_svc.ask_as(members.ACCEPT_INVITATION, body, await tenant_svc.person(GUEST))
    waiting = await as_(tenant_svc, members.LIST_INVITATIONS, Empty(), clinic.actor)
    assert waiting.invitations == ()


async def test_accepted_fifty_times_at_once_it_brings_one_in(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    clinic = await tenant_svc.sign_up()
    body, guest = await token_of(mailbox, await invite(tenant_svc, clinic.actor)), await tenant_svc.person(GUEST)
    asked = (tenant_svc.ask_as(members.ACCEPT_INVITATION, body, guest) for _ in range(50))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert Counter(type(result) for result in results) == {members.Accepted: 1, NotFound: 49}
    lines = await tenant_svc.rows("SELECT 1 FROM tenancy.audit_log WHERE action = 'member.joined'")
    assert len(lines) == 1
    await remove(tenant_svc, clinic.actor, guest)
    with pytest.raises(NotFound):  # nor does it bring back who was removed
        await tenant_svc.ask_as(members.ACCEPT_INVITATION, body, guest)


async def test_who_may_invite_whom(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    admin, staff = await joined(tenant_svc, clinic, Role.ADMIN), await joined(tenant_svc, clinic, Role.STAFF)
    with pytest.raises(Forbidden, match="owners:write"):
        await invite(tenant_svc, admin, Role.OWNER)
    with pytest.raises(Forbidden, match="members:write"):
        await invite(tenant_svc, staff)
    with pytest.raises(InvalidInput):
        await invite(tenant_svc, admin, email="nobody at home")
    first, second = await invite(tenant_svc, admin), await invite(tenant_svc, admin, Role.READ_ONLY)
    waiting = await as_(tenant_svc, members.LIST_INVITATIONS, Empty(), staff)
    assert [view.invitation_id for view in waiting.invitations] == [second.invitation_id], "the newer one counts"
    for invitation_id in (first.invitation_id, UUID(int=1)):
        with pytest.raises(NotFound):
            body = members.RevokeInvitation(invitation_id=invitation_id)
            await as_(tenant_svc, members.REVOKE_INVITATION, body, admin)
    await as_(
        tenant_svc, members.REVOKE_INVITATION, members.RevokeInvitation(invitation_id=second.invitation_id), admin
    )


async def test_an_invitation_of_an_owner_is_revoked_by_owners(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    admin = await joined(tenant_svc, clinic, Role.ADMIN)
    view = await invite(tenant_svc, clinic.actor, Role.OWNER)
    body = members.RevokeInvitation(invitation_id=view.invitation_id)
    with pytest.raises(Forbidden, match="owners:write"):
        await as_(tenant_svc, members.REVOKE_INVITATION, body, admin)
    await as_(tenant_svc, members.REVOKE_INVITATION, body, clinic.actor)


async def test_the_audit_says_who_came_and_went_without_addresses(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    clinic, elsewhere = await tenant_svc.sign_up(), await tenant_svc.sign_up("Otra")
    body = await token_of(mailbox, await invite(tenant_svc, clinic.actor))
    await tenant_svc.rows("UPDATE tenancy.accounts SET email = $1 WHERE id = $2", GUEST, UUID(elsewhere.actor.id))
    # Signed in, and at this moment in a tenant of their own.
    await tenant_svc.ask_as(members.ACCEPT_INVITATION, body, elsewhere.actor)
    await set_role(tenant_svc, clinic.actor, elsewhere.actor, Role.ADMIN)
    await remove(tenant_svc, clinic.actor, elsewhere.actor)
    lines = await tenant_svc.rows(
        "SELECT action, actor_id, actor_roles, state_before, state_after FROM tenancy.audit_log WHERE tenant_id = $1 "
        "ORDER BY seq",
        clinic.tenant_id,
    )
    assert [line["action"] for line in lines] == [
        "tenant.signed_up",
        "invitation.sent",
        "member.joined",
        "member.role_set",
        "member.removed",
    ]
    assert (lines[2]["actor_id"], lines[2]["actor_roles"]) == (elsewhere.actor.id, [])
    assert GUEST not in str([dict(line) for line in lines])
    assert "role" in lines[3]["state_before"]


# -- support ----------------------------------------------------------------------------------------------------------


async def let_in(tenant_svc: TenantSvc, actor: Actor, minutes: int = 60) -> members.SupportAccess:
    body = members.LetSupportIn(minutes=minutes, reason=Sealed("calls are not answered"))
    access: members.SupportAccess = await as_(tenant_svc, members.LET_SUPPORT_IN, body, actor)
    return access


async def helper(tenant_svc: TenantSvc) -> Actor:
    """Of the platform's support, with a second factor."""
    person = await tenant_svc.person("help@platform.example")
    assert (await tenant_svc.operate("POST", "/ops/people/support", email="help@platform.example")).status_code == 200
    await tenant_svc.rows(
        "UPDATE tenancy.accounts SET totp_secret_sealed = 'x', totp_confirmed_at = now() WHERE id = $1", UUID(person.id)
    )
    return person


async def enter(tenant_svc: TenantSvc, person: Actor, clinic: Clinic) -> identity.SignedIn:
    body = identity.ChooseTenant(tenant_id=clinic.tenant_id)
    session: identity.SignedIn = await tenant_svc.ask_as(identity.CHOOSE_TENANT, body, person)
    return session


async def test_support_looks_while_it_is_let_in_and_changes_nothing(tenant_svc: TenantSvc) -> None:
    clinic, other = await tenant_svc.sign_up(), await tenant_svc.sign_up("Otra")
    person = await helper(tenant_svc)
    with pytest.raises(NotFound):
        await enter(tenant_svc, person, clinic)
    access = await let_in(tenant_svc, clinic.actor)
    me = await tenant_svc.ask_as(identity.ME, Empty(), person)
    assert [(one.tenant_id, one.role) for one in me.tenants] == [(clinic.tenant_id, "support")]
    with pytest.raises(NotFound):
        await enter(tenant_svc, person, other)
    session = await enter(tenant_svc, person, clinic)
    there = await tenant_svc.who(session)
    assert (there.tenant_id, there.roles) == (clinic.tenant_id, ("support",))
    found = await as_(tenant_svc, members.LIST_SUPPORT_ACCESS, Empty(), there)
    assert [(one.access_id, one.reason) for one in found.accesses] == [(access.access_id, "calls are not answered")]
    for spec, body in (
        (members.LIST_MEMBERS, Empty()),
        (members.INVITE, members.Invite(email=Sealed(GUEST), role=Role.STAFF)),
        (members.LET_SUPPORT_IN, members.LetSupportIn(minutes=60, reason=Sealed("more"))),
    ):
        with pytest.raises(Forbidden):
            await as_(tenant_svc, spec, body, there)

    await as_(
        tenant_svc, members.END_SUPPORT_ACCESS, members.EndSupportAccess(access_id=access.access_id), clinic.actor
    )
    assert (await tenant_svc.who(session)).tenant_id is None
    lines = await tenant_svc.rows(
        "SELECT action, actor_id, actor_roles FROM tenancy.audit_log WHERE tenant_id = $1 AND action LIKE 'support.%' "
        "ORDER BY seq",
        clinic.tenant_id,
    )
    assert [(line["action"], line["actor_id"], line["actor_roles"]) for line in lines] == [
        ("support.let_in", clinic.actor.id, ["owner"]),
        ("support.entered", person.id, ["support"]),
        ("support.shown_out", clinic.actor.id, ["owner"]),
    ]


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE tenancy.support_accesses SET expires_at = now() - interval '1 second'",
        "UPDATE tenancy.accounts SET support = false",
    ],
)
async def test_support_is_out_when_its_time_is_over(tenant_svc: TenantSvc, end: str) -> None:
    clinic, person = await tenant_svc.sign_up(), await helper(tenant_svc)
    await let_in(tenant_svc, clinic.actor)
    session = await enter(tenant_svc, person, clinic)
    await tenant_svc.rows(end)
    assert (await tenant_svc.who(session)).tenant_id is None
    with pytest.raises(NotFound):
        await enter(tenant_svc, await tenant_svc.who(session), clinic)


async def test_support_needs_a_second_factor_and_to_be_support(tenant_svc: TenantSvc) -> None:
    clinic, person = await tenant_svc.sign_up(), await helper(tenant_svc)
    await let_in(tenant_svc, clinic.actor)
    with pytest.raises(NotFound):
        await enter(tenant_svc, await tenant_svc.person(), clinic)
    await tenant_svc.rows("UPDATE tenancy.accounts SET totp_confirmed_at = NULL")
    with pytest.raises(Forbidden, match="second factor"):
        await enter(tenant_svc, person, clinic)
    answer = await tenant_svc.operate("POST", "/ops/people/no-support", email="help@platform.example")
    assert answer.status_code == 200
    with pytest.raises(NotFound):
        await enter(tenant_svc, person, clinic)


async def test_only_an_owner_lets_support_in(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    admin = await joined(tenant_svc, clinic, Role.ADMIN)
    with pytest.raises(Forbidden, match="support:write"):
        await let_in(tenant_svc, admin)
    access = await let_in(tenant_svc, clinic.actor, 15)
    assert (access.expires_at - access.consented_at).total_seconds() == 900
    with pytest.raises(NotFound):
        body = members.EndSupportAccess(access_id=UUID(int=1))
        await as_(tenant_svc, members.END_SUPPORT_ACCESS, body, clinic.actor)


async def test_a_session_that_ended_accepts_nothing(tenant_svc: TenantSvc) -> None:
    person = await tenant_svc.person()
    await tenant_svc.rows("UPDATE tenancy.accounts SET disabled_at = now() WHERE id = $1", UUID(person.id))
    body = members.AcceptInvitation(invitation_id=UUID(int=1), secret_sha256=sha256("x"))
    with pytest.raises(NotAuthenticated):
        await tenant_svc.ask_as(members.ACCEPT_INVITATION, body, person)
