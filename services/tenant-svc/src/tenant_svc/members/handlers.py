"""The requests about members, invitations and support."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts import members as contract
from switchboard.contracts.base import Empty
from switchboard.rights import Right, allowed, tenant_of

from tenant_svc.identity.handlers import nowhere, signed_in
from tenant_svc.members.invitations import Invitations
from tenant_svc.members.service import Members
from tenant_svc.members.support import Support


async def serve_members(bus: Bus, members: Members) -> None:
    async def listed(_body: Empty, call: Call) -> contract.MemberList:
        return await members.all_of(allowed(call, Right.MEMBERS_READ))

    async def set_role(body: contract.SetRole, call: Call) -> contract.MemberView:
        return await members.set_role(allowed(call, Right.MEMBERS_WRITE), body.user_id, body.role, call.actor)

    async def remove(body: contract.RemoveMember, call: Call) -> Empty:
        # Who leaves needs no right; the rest is looked at where it is known who that is.
        await members.remove(tenant_of(call), body.user_id, call.actor)
        return Empty()

    await bus.serve(contract.LIST_MEMBERS, listed)
    await bus.serve(contract.SET_ROLE, set_role)
    await bus.serve(contract.REMOVE_MEMBER, remove)


async def serve_invitations(bus: Bus, invitations: Invitations) -> None:
    async def invite(body: contract.Invite, call: Call) -> contract.InvitationView:
        return await invitations.invite(allowed(call, Right.MEMBERS_WRITE), body, call.actor)

    async def waiting(_body: Empty, call: Call) -> contract.InvitationList:
        return await invitations.waiting(allowed(call, Right.MEMBERS_READ))

    async def revoke(body: contract.RevokeInvitation, call: Call) -> Empty:
        await invitations.revoke(allowed(call, Right.MEMBERS_WRITE), body.invitation_id, call.actor)
        return Empty()

    async def accept(body: contract.AcceptInvitation, call: Call) -> contract.Accepted:
        return await invitations.accept(signed_in(call), body, nowhere(call))

    await bus.serve(contract.INVITE, invite)
    await bus.serve(contract.LIST_INVITATIONS, waiting)
    await bus.serve(contract.REVOKE_INVITATION, revoke)
    await bus.serve(contract.ACCEPT_INVITATION, accept)


async def serve_support(bus: Bus, support: Support) -> None:
    async def let_in(body: contract.LetSupportIn, call: Call) -> contract.SupportAccess:
        return await support.let_in(allowed(call, Right.SUPPORT_WRITE), body, call.actor)

    async def listed(_body: Empty, call: Call) -> contract.SupportAccessList:
        return await support.all_of(allowed(call, Right.AUDIT_READ))

    async def end(body: contract.EndSupportAccess, call: Call) -> Empty:
        await support.end(allowed(call, Right.SUPPORT_WRITE), body.access_id, call.actor)
        return Empty()

    await bus.serve(contract.LET_SUPPORT_IN, let_in)
    await bus.serve(contract.LIST_SUPPORT_ACCESS, listed)
    await bus.serve(contract.END_SUPPORT_ACCESS, end)
