"""Members of a tenant, invitations by mail, and the platform's support, which a tenant lets in for a while."""

from __future__ import annotations

from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard.contracts.base import Contract, Empty, Rpc, Service, services
from switchboard.rights import Role
from switchboard.sealed import Sealed

_GATEWAY = services(Service.API_GATEWAY)
_TENANT_SVC = Service.TENANT_SVC

MIN_MINUTES = 15
MAX_MINUTES = 24 * 60


class SetRole(Contract):
    user_id: UUID
    role: Role


class MemberView(Contract):
    user_id: UUID
    email: Sealed
    role: Role
    second_factor: bool
    since: AwareDatetime

    def state(self) -> SetRole:
        """What of a member is edited: its version is theirs (:mod:`switchboard.etags`)."""
        return SetRole(user_id=self.user_id, role=self.role)


class MemberList(Contract):
    members: tuple[MemberView, ...]


class RemoveMember(Contract):
    user_id: UUID


class Invite(Contract):
    email: Sealed
    role: Role


class InvitationView(Contract):
    invitation_id: UUID
    email: Sealed
    role: Role
    invited_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime


class InvitationList(Contract):
    """Those that wait, newest first."""

    invitations: tuple[InvitationView, ...]


class RevokeInvitation(Contract):
    invitation_id: UUID


class AcceptInvitation(Contract):
    """By whoever is signed in with the address that was invited. Names no tenant: the invitation does."""

    invitation_id: UUID
    secret_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)


class Accepted(Contract):
    tenant_id: UUID
    role: Role


class LetSupportIn(Contract):
    minutes: int = Field(ge=MIN_MINUTES, le=MAX_MINUTES)
    reason: Sealed


class SupportAccess(Contract):
    access_id: UUID
    reason: Sealed
    consented_by: str
    consented_at: AwareDatetime
    expires_at: AwareDatetime
    ended_at: AwareDatetime | None


class SupportAccessList(Contract):
    """Newest first, those that are over too."""

    accesses: tuple[SupportAccess, ...]


class EndSupportAccess(Contract):
    access_id: UUID


LIST_MEMBERS = Rpc("members", "list", Empty, MemberList, _TENANT_SVC, _GATEWAY)
SET_ROLE = Rpc("members", "set_role", SetRole, MemberView, _TENANT_SVC, _GATEWAY, deadline=5.0)
REMOVE_MEMBER = Rpc("members", "remove", RemoveMember, Empty, _TENANT_SVC, _GATEWAY, deadline=5.0)
INVITE = Rpc("members", "invite", Invite, InvitationView, _TENANT_SVC, _GATEWAY, deadline=5.0)
LIST_INVITATIONS = Rpc("members", "invitations", Empty, InvitationList, _TENANT_SVC, _GATEWAY)
REVOKE_INVITATION = Rpc("members", "revoke_invitation", RevokeInvitation, Empty, _TENANT_SVC, _GATEWAY, deadline=5.0)
ACCEPT_INVITATION = Rpc(
    "identity", "accept_invitation", AcceptInvitation, Accepted, _TENANT_SVC, _GATEWAY, deadline=5.0
)
LET_SUPPORT_IN = Rpc("support", "let_in", LetSupportIn, SupportAccess, _TENANT_SVC, _GATEWAY, deadline=5.0)
LIST_SUPPORT_ACCESS = Rpc("support", "list", Empty, SupportAccessList, _TENANT_SVC, _GATEWAY)
END_SUPPORT_ACCESS = Rpc("support", "end", EndSupportAccess, Empty, _TENANT_SVC, _GATEWAY, deadline=5.0)
