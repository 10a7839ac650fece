"""Who belongs to a tenant, who is invited, and whether the platform's support may look."""

from __future__ import annotations

from fastapi import APIRouter, Response
from switchboard.contracts.base import Empty
from switchboard.contracts.members import (
    ACCEPT_INVITATION,
    END_SUPPORT_ACCESS,
    INVITE,
    LET_SUPPORT_IN,
    LIST_INVITATIONS,
    LIST_MEMBERS,
    LIST_SUPPORT_ACCESS,
    REMOVE_MEMBER,
    REVOKE_INVITATION,
    SET_ROLE,
    AcceptInvitation,
    EndSupportAccess,
    Invite,
    LetSupportIn,
    RemoveMember,
    RevokeInvitation,
    SetRole,
)
from switchboard.errors import NotFound
from switchboard.sealed import Sealed

from api_gateway.access.caller import Authenticated, Person
from api_gateway.access.identifiers import AccessIdInPath, InvitationIdInPath, UserIdInPath
from api_gateway.access.links import parse_link
from api_gateway.access.repeating import Once
from api_gateway.access.versions import VERSIONED, IfMatch, tag
from api_gateway.members.schemas import (
    AcceptedShape,
    AcceptForm,
    InvitationForm,
    InvitationShape,
    InvitationsShape,
    MemberShape,
    MembersShape,
    RoleForm,
    SupportAccessesShape,
    SupportAccessShape,
    SupportForm,
)

router = APIRouter(prefix="/v1", tags=["members"])


@router.get("/members")
async def list_members(caller: Authenticated) -> MembersShape:
    """The people of this tenant."""
    found = await caller.ask(LIST_MEMBERS, Empty())
    return MembersShape(members=tuple(MemberShape.of_member(member) for member in found.members))


@router.put("/members/{user_id}", responses=VERSIONED)
async def set_role(
    response: Response, user_id: UserIdInPath, expected: IfMatch, caller: Authenticated, form: RoleForm
) -> MemberShape:
    """Change what somebody is here. Owners are made and unmade by owners; one is always left."""
    member = await expected(caller).ask(SET_ROLE, SetRole(user_id=user_id, role=form.role))
    tag(response, member.state())
    return MemberShape.of_member(member)


@router.delete("/members/{user_id}", status_code=204)
async def remove_member(user_id: UserIdInPath, expected: IfMatch, caller: Authenticated) -> Response:
    """Remove somebody, who is out at their next request; or leave."""
    await expected(caller).ask(REMOVE_MEMBER, RemoveMember(user_id=user_id))
    return Response(status_code=204)


@router.post("/invitations", status_code=201)
async def invite(once: Once, caller: Authenticated, form: InvitationForm) -> InvitationShape:
    """Invite somebody by mail. Only who is signed in with that address can accept."""
    body = Invite(email=Sealed(form.email), role=form.role)
    return InvitationShape.of(await once(caller, form).ask(INVITE, body))


@router.get("/invitations")
async def list_invitations(caller: Authenticated) -> InvitationsShape:
    """Invitations that wait."""
    return InvitationsShape.of(await caller.ask(LIST_INVITATIONS, Empty()))


@router.delete("/invitations/{invitation_id}", status_code=204)
async def revoke_invitation(invitation_id: InvitationIdInPath, caller: Authenticated) -> Response:
    """Take an invitation back."""
    await caller.ask(REVOKE_INVITATION, RevokeInvitation(invitation_id=invitation_id))
    return Response(status_code=204)


@router.post("/me/invitations", tags=["me"])
async def accept_invitation(person: Person, form: AcceptForm) -> AcceptedShape:
    """Accept an invitation that came by mail to your address."""
    found = parse_link(form.token)
    if found is None:
        raise NotFound("that is not the token of an invitation")
    body = AcceptInvitation(invitation_id=found[0], secret_sha256=found[1])
    return AcceptedShape.of(await person.ask(ACCEPT_INVITATION, body))


@router.post("/support-access", status_code=201)
async def let_support_in(once: Once, caller: Authenticated, form: SupportForm) -> SupportAccessShape:
    """Let the platform's support look for a while. It changes nothing, and each coming in is in the audit."""
    body = LetSupportIn(minutes=form.minutes, reason=Sealed(form.reason))
    return SupportAccessShape.of(await once(caller, form).ask(LET_SUPPORT_IN, body))


@router.get("/support-access")
async def list_support_access(caller: Authenticated) -> SupportAccessesShape:
    """When support was let in, by whom, and why."""
    return SupportAccessesShape.of(await caller.ask(LIST_SUPPORT_ACCESS, Empty()))


@router.delete("/support-access/{access_id}", status_code=204)
async def end_support_access(access_id: AccessIdInPath, caller: Authenticated) -> Response:
    """Show support out, at its next request."""
    await caller.ask(END_SUPPORT_ACCESS, EndSupportAccess(access_id=access_id))
    return Response(status_code=204)
