"""API keys: making, listing and revoking them, and whom a presented one stands for."""

from __future__ import annotations

from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard.contracts.base import Actor, Contract, Empty, Rpc, Service, services
from switchboard.sealed import Sealed

_GATEWAY = services(Service.API_GATEWAY)
_TENANT_SVC = Service.TENANT_SVC

MAX_DAYS = 365


class Authenticate(Contract):
    """A presented API key: its id, and the SHA-256 of its secret (hex); the secret itself stays in the gateway."""

    key_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    secret_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)


class NewKey(Contract):
    """``scopes`` are rights by name (:class:`switchboard.rights.Right`), of those that its maker has."""

    name: str = Field(min_length=1, max_length=80)
    scopes: tuple[str, ...] = Field(min_length=1, max_length=30)
    expires_in_days: int = Field(default=90, ge=1, le=MAX_DAYS)


class KeyView(Contract):
    """``roles`` is empty but for keys from before there were scopes. ``expires_at`` is ``None`` for those too."""

    key_id: UUID
    name: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...] = ()
    created_at: AwareDatetime
    created_by: str
    expires_at: AwareDatetime | None
    last_used_at: AwareDatetime | None


class KeyMade(Contract):
    """``api_key`` is shown this once; only the hash of its secret is stored. Who names the request by an idempotency key has
    this answer kept, sealed, for ten minutes (:data:`switchboard.repeats.KEEP_SECRET`)."""

    key: KeyView
    api_key: Sealed


class KeyList(Contract):
    """Keys in force, newest first."""

    keys: tuple[KeyView, ...]


class RevokeKey(Contract):
    key_id: UUID


AUTHENTICATE = Rpc("tenants", "authenticate", Authenticate, Actor, _TENANT_SVC, _GATEWAY)
NEW_KEY = Rpc("keys", "new", NewKey, KeyMade, _TENANT_SVC, _GATEWAY, deadline=5.0)
LIST_KEYS = Rpc("keys", "list", Empty, KeyList, _TENANT_SVC, _GATEWAY)
REVOKE_KEY = Rpc("keys", "revoke", RevokeKey, Empty, _TENANT_SVC, _GATEWAY, deadline=5.0)
