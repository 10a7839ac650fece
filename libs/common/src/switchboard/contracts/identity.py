"""People: signing up and in, sessions, second factor. All of it comes before a tenant is known, so subjects name none.

Secrets of the browser (session tokens, links, the cookie that a link is bound to) travel as the SHA-256 of what the gateway
was shown, in hex; what tenant-svc makes, and what people type, is sealed.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, field_validator

from switchboard.contracts.base import Actor, Contract, Empty, Rpc, Service, services
from switchboard.contracts.snapshot import known_time_zone
from switchboard.sealed import Sealed

_GATEWAY = services(Service.API_GATEWAY)
_TENANT_SVC = Service.TENANT_SVC
_DIGEST = r"^[0-9a-f]{64}$"

MIN_PASSWORD = 12
MAX_PASSWORD = 128

LinkPurpose = Literal["sign_up", "sign_in", "reset"]


class WantLink(Contract):
    """A link by mail, for the browser that asks. The answer is the same whoever has that address, and whether anybody has.

    ``password``: with ``sign_up`` only; without, the account is one that signs in by links.
    """

    purpose: LinkPurpose
    email: Sealed
    password: Sealed | None = None
    browser_sha256: str = Field(pattern=_DIGEST, repr=False)


class RedeemLink(Contract):
    """``password`` is the new one, for a link that resets it."""

    link_id: UUID
    secret_sha256: str = Field(pattern=_DIGEST, repr=False)
    browser_sha256: str = Field(pattern=_DIGEST, repr=False)
    password: Sealed | None = None


class SignIn(Contract):
    email: Sealed
    password: Sealed


class SecondFactor(Contract):
    """``code``: of the authenticator, or one of the recovery codes."""

    token_sha256: str = Field(pattern=_DIGEST, repr=False)
    code: Sealed


class SignedIn(Contract):
    """A new session; ``token`` is told this once. With ``second_factor`` it is good for nothing but :data:`SECOND_FACTOR`."""

    token: Sealed
    second_factor: bool
    expires_at: AwareDatetime


class AuthenticateSession(Contract):
    token_sha256: str = Field(pattern=_DIGEST, repr=False)


class TenantOfMine(Contract):
    tenant_id: UUID
    name: str
    role: str


class Me(Contract):
    """``tenant_id``: the one that this session is in."""

    user_id: UUID
    email: Sealed
    has_password: bool
    second_factor: bool
    recovery_codes_left: int
    tenant_id: UUID | None
    tenants: tuple[TenantOfMine, ...]


class SessionView(Contract):
    session_id: UUID
    current: bool
    created_at: AwareDatetime
    last_seen_at: AwareDatetime
    expires_at: AwareDatetime
    ip: Sealed
    user_agent: Sealed


class SessionList(Contract):
    """Sessions in force, newest first."""

    sessions: tuple[SessionView, ...]


class EndSession(Contract):
    session_id: UUID


class ChangePassword(Contract):
    """``current`` is ``None`` for an account that has had no password."""

    current: Sealed | None
    password: Sealed


class TotpBegun(Contract):
    """The secret in base32, and the address that an authenticator reads as a QR code. Not in force before it is confirmed."""

    secret: Sealed
    uri: Sealed


class Code(Contract):
    code: Sealed


class RecoveryCodes(Contract):
    """Told this once; each works once, in the place of the authenticator."""

    codes: tuple[Sealed, ...]


class NewTenant(Contract):
    """A clinic. Who makes it becomes its owner."""

    name: str = Field(min_length=1, max_length=120)
    time_zone: str
    language: str = "en"

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_time_zone(value)


class TenantMade(Contract):
    tenant_id: UUID


class ChooseTenant(Contract):
    tenant_id: UUID


WANT_LINK = Rpc("identity", "want_link", WantLink, Empty, _TENANT_SVC, _GATEWAY, deadline=5.0)
REDEEM_LINK = Rpc("identity", "redeem_link", RedeemLink, SignedIn, _TENANT_SVC, _GATEWAY, deadline=5.0)
SIGN_IN = Rpc("identity", "sign_in", SignIn, SignedIn, _TENANT_SVC, _GATEWAY, deadline=5.0)
SECOND_FACTOR = Rpc("identity", "second_factor", SecondFactor, SignedIn, _TENANT_SVC, _GATEWAY, deadline=5.0)
AUTHENTICATE_SESSION = Rpc("identity", "authenticate", AuthenticateSession, Actor, _TENANT_SVC, _GATEWAY)
ME = Rpc("identity", "me", Empty, Me, _TENANT_SVC, _GATEWAY)
LIST_SESSIONS = Rpc("identity", "sessions", Empty, SessionList, _TENANT_SVC, _GATEWAY)
END_SESSION = Rpc("identity", "end_session", EndSession, Empty, _TENANT_SVC, _GATEWAY, deadline=5.0)
CHANGE_PASSWORD = Rpc("identity", "change_password", ChangePassword, SignedIn, _TENANT_SVC, _GATEWAY, deadline=5.0)
BEGIN_TOTP = Rpc("identity", "begin_totp", Empty, TotpBegun, _TENANT_SVC, _GATEWAY, deadline=5.0)
CONFIRM_TOTP = Rpc("identity", "confirm_totp", Code, RecoveryCodes, _TENANT_SVC, _GATEWAY, deadline=5.0)
DISABLE_TOTP = Rpc("identity", "disable_totp", Code, Empty, _TENANT_SVC, _GATEWAY, deadline=5.0)
NEW_TENANT = Rpc("identity", "new_tenant", NewTenant, TenantMade, _TENANT_SVC, _GATEWAY, deadline=5.0)
CHOOSE_TENANT = Rpc("identity", "choose_tenant", ChooseTenant, SignedIn, _TENANT_SVC, _GATEWAY, deadline=5.0)
