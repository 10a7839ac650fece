"""Public shapes about members, invitations and support."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, Field
from switchboard.contracts.members import MAX_MINUTES, MIN_MINUTES, MemberView
from switchboard.rights import Role

from api_gateway.access.versions import written
from api_gateway.schemas import Email, Form, Line, Shape


class MemberShape(Shape):
    user_id: UUID
    email: str
    role: Role
    second_factor: bool
    since: AwareDatetime
    etag: str = Field(description="names the role that they have, for `if-match` of a change")

    @classmethod
    def of_member(cls, member: MemberView) -> Self:
        return cls.model_validate({**member.model_dump(), "etag": written(member.state())})


class MembersShape(Shape):
    members: tuple[MemberShape, ...]


class RoleForm(Form):
    role: Role


class InvitationForm(Form):
    email: Email = Field(examples=["reception@clinic.example"])
    role: Role


class InvitationShape(Shape):
    invitation_id: UUID
    email: str
    role: Role
    invited_by: str = Field(description="`user:<id>`")
    created_at: AwareDatetime
    expires_at: AwareDatetime


class InvitationsShape(Shape):
    """Those that wait, newest first."""

    invitations: tuple[InvitationShape, ...]


class AcceptForm(Form):
    """``token``: what stands behind the ``#`` of the link in the mail."""

    token: str = Field(min_length=1, max_length=200, repr=False)


class AcceptedShape(Shape):
    """You are a member; go there with ``POST /v1/me/tenant``."""

    tenant_id: UUID
    role: Role


class SupportForm(Form):
    minutes: int = Field(ge=MIN_MINUTES, le=MAX_MINUTES)
    reason: Line = Field(min_length=1, max_length=500, examples=["Calls to our second number are not answered"])


class SupportAccessShape(Shape):
    access_id: UUID
    reason: str
    consented_by: str = Field(description="`user:<id>`")
    consented_at: AwareDatetime
    expires_at: AwareDatetime
    ended_at: AwareDatetime | None


class SupportAccessesShape(Shape):
    """Newest first, those that are over too."""

    accesses: tuple[SupportAccessShape, ...]
