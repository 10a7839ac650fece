"""Public shapes about people: signing in, sessions, the second factor."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints
from switchboard.contracts.identity import MAX_PASSWORD, MIN_PASSWORD

from api_gateway.schemas import Email, Form, Language, Line, Shape, TimeZone

# Its length is the service's to judge: what it says is the same for everybody.
Password = Annotated[str, StringConstraints(min_length=1, max_length=4 * MAX_PASSWORD)]
_PASSWORD = f"{MIN_PASSWORD} to {MAX_PASSWORD} characters; a few words will do"


class SignUpForm(Form):
    """Without a password the account is one that signs in by links."""

    email: Email = Field(examples=["office@clinic.example"])
    password: Password | None = Field(default=None, repr=False, description=_PASSWORD)


class EmailForm(Form):
    email: Email = Field(examples=["office@clinic.example"])


class MailedShape(Shape):
    """The same for every address."""

    detail: str = "If that can be done with this address, a mail is on its way. Its link works once, in this browser."


class RedeemForm(Form):
    """``token``: what stands behind the ``#`` of the link."""

    token: str = Field(min_length=1, max_length=200, repr=False, examples=["019a9b6c….4be1…"])
    password: Password | None = Field(default=None, repr=False, description=f"the new one, to reset it; {_PASSWORD}")


class SignInForm(Form):
    email: Email
    password: Password = Field(repr=False)


class CodeForm(Form):
    """Six digits of the authenticator; to sign in or to disable it, a recovery code does as well."""

    code: str = Field(min_length=1, max_length=40, repr=False, examples=["492039"])


class SignedInShape(Shape):
    """The session is in the cookie. With ``second_factor`` it is good for nothing yet: send a code to
    ``POST /v1/auth/second-factor``."""

    second_factor: bool
    expires_at: AwareDatetime


class TenantOfMineShape(Shape):
    tenant_id: UUID
    name: str
    role: str


class MeShape(Shape):
    """``tenant_id``: the tenant that this session is in."""

    user_id: UUID
    email: str
    has_password: bool
    second_factor: bool
    recovery_codes_left: int
    tenant_id: UUID | None
    tenants: tuple[TenantOfMineShape, ...]


class SessionShape(Shape):
    session_id: UUID
    current: bool
    created_at: AwareDatetime
    last_seen_at: AwareDatetime = Field(description="to the minute")
    expires_at: AwareDatetime
    ip: str
    user_agent: str


class SessionsShape(Shape):
    """Sessions in force, newest first."""

    sessions: tuple[SessionShape, ...]


class PasswordForm(Form):
    current: Password | None = Field(default=None, repr=False)
    password: Password = Field(repr=False, description=_PASSWORD)


class TotpShape(Shape):
    """``uri`` goes into a QR code. Nothing changes before a code is confirmed."""

    secret: str = Field(repr=False)
    uri: str = Field(repr=False)


class RecoveryCodesShape(Shape):
    """Shown this once. Each works once in the place of the authenticator."""

    codes: tuple[str, ...] = Field(repr=False)


class TenantForm(Form):
    name: Line = Field(min_length=1, max_length=120, examples=["Clínica Sol"])
    time_zone: TimeZone = Field(examples=["Europe/Madrid"])
    language: Language = "en"


class TenantMadeShape(Shape):
    tenant_id: UUID


class ChooseForm(Form):
    tenant_id: UUID
