"""Helpers for the tests of this service; nothing outside tests imports this."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import time
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import SecretStr
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS
from switchboard.contracts import identity, keys
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Actor, Contract, Empty, Rpc
from switchboard.contracts.snapshot import Opening, TenantSnapshot
from switchboard.service import Service
from switchboard.testing.database import MigratedDatabase

from tenant_svc.adapters.smtp import SmtpSettings
from tenant_svc.audit.anchors import Anchors
from tenant_svc.settings import Settings

OPERATORS_TOKEN = "operators-token-of-the-tests"  # noqa: S105 - made up
HOURS = (Opening(day="monday", opens=time(9), closes=time(18)), Opening(day="friday", opens=time(9), closes=time(14)))


CONSOLE = "https://console.clinic.example"


def mail_settings(port: int) -> SmtpSettings:
    """A mail server on this machine."""
    url = SecretStr(f"smtp://127.0.0.1:{port}")
    return SmtpSettings(url=url, starttls="never", sender="switchboard@clinic.example")


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20.0) -> None:
    """Returns as soon as ``condition`` holds; ``TimeoutError`` after ``seconds``."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that a process with ``settings`` is started with."""
    livekit = settings.livekit
    return {
        "PATH": os.environ["PATH"],
        "SWITCHBOARD_HTTP__PORT": "0",
        "SWITCHBOARD_DATABASE__DSN": settings.database.dsn.get_secret_value(),
        "SWITCHBOARD_NATS__URL": settings.nats.url,
        "SWITCHBOARD_NATS__USER": settings.nats.user,
        "SWITCHBOARD_NATS__PASSWORD": settings.nats.password.get_secret_value(),
        "SWITCHBOARD_SEALING__MASTER_KEY": settings.sealing.master_key.get_secret_value(),
        "SWITCHBOARD_BLOBS__URL": settings.blobs.url,
        "SWITCHBOARD_LIVEKIT__URL": livekit.url,
        "SWITCHBOARD_LIVEKIT__API_KEY": livekit.api_key,
        "SWITCHBOARD_LIVEKIT__API_SECRET": livekit.api_secret.get_secret_value(),
        "SWITCHBOARD_PLATFORM__CARRIER_ADDRESSES": json.dumps(settings.platform.carrier_addresses),
        "SWITCHBOARD_OPERATORS__TOKEN": OPERATORS_TOKEN,
        "SWITCHBOARD_CONSOLE__URL": settings.console.url,
        "SWITCHBOARD_MAIL__URL": settings.mail.url.get_secret_value(),
        "SWITCHBOARD_MAIL__STARTTLS": settings.mail.starttls,
        "SWITCHBOARD_MAIL__SENDER": settings.mail.sender,
    }


@dataclass(frozen=True)
class Clinic:
    """A tenant that has signed up, and its owner (unless another ``actor`` is to ask)."""

    tenant_id: UUID
    actor: Actor


@dataclass(frozen=True)
class TenantSvc:
    """The running service, as others see it: the gateway, whoever reads its buckets, operators (``http``: an httpx
    client at its port).
    """

    service: Service[Settings]
    gateway: Bus
    reader: Bus
    http: Any
    database: MigratedDatabase

    async def ask(self, spec: Rpc[Any, Any], body: Contract, clinic: Clinic, *, of: UUID | None = None) -> Any:
        """As ``clinic``'s owner, about ``clinic`` or about the tenant ``of``."""
        return await self.gateway.request(spec, body, tenant_id=of or clinic.tenant_id, actor=clinic.actor)

    async def sign_up(self, name: str = "Clinica Norte") -> Clinic:
        """A clinic of a person of its own."""
        person = await self.person()
        body = identity.NewTenant(name=name, time_zone="Europe/Madrid")
        made = await self.gateway.request(identity.NEW_TENANT, body, tenant_id=None, actor=person)
        return Clinic(made.tenant_id, person.model_copy(update={"tenant_id": made.tenant_id, "roles": ("owner",)}))

    async def person(self, email: str = "") -> Actor:
        """Somebody with an account, signed in. How one comes to that has tests of its own."""
        account_id, session_id = self.gateway.ids.new(), self.gateway.ids.new()
        await self.rows(
            "INSERT INTO tenancy.accounts (id, email, created_at) VALUES ($1, $2, now())",
            account_id,
            email or f"{account_id.hex}@clinic.example",
        )
        await self.rows(
            "INSERT INTO tenancy.sessions (id, token_sha256, account_id, stage, created_at, last_seen_at, expires_at, ip, "
            "user_agent) VALUES ($1, sha256($2), $3, 'full', now(), now(), now() + interval '1 day', '', '')",
            session_id,
            session_id.bytes,
            account_id,
        )
        return Actor(kind="user", id=account_id.hex, session_id=session_id)

    async def new_key(self, clinic: Clinic, *scopes: str, days: int = 90) -> keys.KeyMade:
        body = keys.NewKey(name="Booking", scopes=scopes or ("calls:read",), expires_in_days=days)
        made: keys.KeyMade = await self.ask(keys.NEW_KEY, body, clinic)
        return made

    async def authenticate(self, api_key: str) -> Actor:
        """As the gateway does: the secret stays there."""
        _, key_id, secret = api_key.split("_")
        body = keys.Authenticate(key_id=key_id, secret_sha256=sha256(secret))
        return await self.gateway.request(keys.AUTHENTICATE, body, tenant_id=None, actor=Actor.anonymous())

    async def ready_clinic(self, number: str, name: str = "Clinica Norte") -> Clinic:
        """With a location, its hours and a number on the platform's trunk; not published."""
        clinic = await self.sign_up(name)
        await self.ask(contract.ADD_LOCATION, contract.NewLocation(name="Centro", hours=HOURS), clinic)
        await self.ask(contract.ADD_NUMBER, contract.NewNumber(number=number), clinic)
        return clinic

    async def publish(self, clinic: Clinic) -> contract.Published:
        published: contract.Published = await self.ask(contract.PUBLISH, Empty(), clinic)
        return published

    async def snapshot(self, clinic: Clinic) -> TenantSnapshot | None:
        """What stands in the bucket."""
        value = await self.reader.bucket(SNAPSHOTS).get(clinic.tenant_id.hex)
        return None if value is None else TenantSnapshot.model_validate_json(value)

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """As the superuser, past row-level security."""
        conn = await asyncpg.connect(self.database.admin_dsn)
        try:
            return list(await conn.fetch(query, *arguments))
        finally:
            await conn.close()

    async def settled(self) -> None:
        """Returns when the service has consumed everything that it published: nothing is on its way to the buckets."""
        outstanding = (
            "SELECT 1 FROM tenancy.outbox AS o WHERE o.subject LIKE '%.config.published' AND NOT EXISTS "
            "(SELECT 1 FROM tenancy.inbox AS i WHERE i.tenant_id = o.tenant_id AND i.message_id = o.id)"
        )

        async def nothing_outstanding() -> bool:
            return not await self.rows(outstanding)

        await until(nothing_outstanding)

    async def operate(self, method: str, path: str, token: str = OPERATORS_TOKEN, **body: str) -> Any:
        headers = {"authorization": f"Bearer {token}"}
        return await self.http.request(method, path, headers=headers, json=body or None)

    async def ask_as(self, spec: Rpc[Any, Any], body: Contract, actor: Actor | None = None) -> Any:
        """About no tenant, as ``actor`` or as nobody yet."""
        return await self.gateway.request(spec, body, tenant_id=None, actor=actor or Actor.anonymous())

    async def who(self, session: identity.SignedIn) -> Actor:
        """Whom the token of a session stands for, as the gateway asks."""
        body = identity.AuthenticateSession(token_sha256=sha256(session.token))
        actor: Actor = await self.ask_as(identity.AUTHENTICATE_SESSION, body)
        return actor


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def anchored(anchors: Anchors, clinic: Clinic, seq: int) -> bool:
    """The head of the clinic's audit is line ``seq``, outside of the database."""
    head = await anchors.of(clinic.tenant_id)
    return head is not None and head.seq == seq
