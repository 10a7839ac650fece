"""Two clinics and everybody who might ask: for tests of who may do what through the public API."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pyotp
from api_gateway.access.cookies import SESSION
from switchboard.http import HttpClient, HttpResponse

from fleet.api import SwitchboardApi
from fleet.mailbox.box import Mailbox
from fleet.person import open_account
from fleet.together import Together

CANARY = "canary-7f3a"
"""Stands in everything that the first clinic has written."""
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday")
Headers = Mapping[str, str]

INSERT_PERSON = "INSERT INTO tenancy.accounts (id, email, created_at) VALUES ($1, $2, now())"
INSERT_MEMBER = "INSERT INTO tenancy.members (tenant_id, account_id, role, created_at) VALUES ($1, $2, $3, now())"
INSERT_SESSION = """
INSERT INTO tenancy.sessions
  (id, token_sha256, account_id, stage, created_at, last_seen_at, expires_at, ip, user_agent)
VALUES ($1, $2, $3, 'full', now(), now(), now() + interval '1 hour', '', '')
"""
INSERT_SESSION_TENANT = "INSERT INTO tenancy.session_tenants (tenant_id, session_id, chosen_at) VALUES ($1, $2, now())"
INSERT_CALL = """
INSERT INTO calls.calls
  (tenant_id, id, room_sid, degraded_id, dialled, caller, state, started_at, ended_at, end_reason, outcome)
VALUES ($1, $2, $3, $4, '+34911000001', $5, 'ended', now(), now(), 'caller_hung_up', 'talk')
"""
INSERT_TURN = """
INSERT INTO calls.turns
  (tenant_id, call_id, epoch, turn, seq, kind, at, caller_said, agent_said, agent_heard, interrupted, passages, receipts,
   timings)
VALUES ($1, $2, 1, 1, 1, 'answered', now(), $3, $4, $4, false, '[]', '[]', '{}')
"""
SUPPORT = "UPDATE tenancy.accounts SET support = true WHERE id = $1"


@dataclass
class Clinic:
    """`key` may do all that a key can."""

    tenant_id: UUID
    owner: UUID
    key: str
    number: str
    mark: str


@dataclass
class Town:
    """Both clinics, filled. Made by `build`."""

    stack: Together
    mailbox: Mailbox
    conn: asyncpg.Connection[asyncpg.Record]
    ours: Clinic
    theirs: Clinic
    people: dict[str, UUID] = field(default_factory=dict)
    fixed: dict[str, UUID] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    count: int = 0

    @property
    def http(self) -> HttpClient:
        return self.stack.gateway.http

    def unique(self) -> int:
        self.count += 1
        return self.count

    def number(self) -> str:
        """One that nobody has bound."""
        return f"+3491200{self.unique():04}"

    # -- who asks -----------------------------------------------------------------------------------------------------

    async def person(self, tenant_id: UUID | None = None, role: str = "") -> UUID:
        """An account, and what it is in a tenant. How one comes to either has tests of its own."""
        account_id = uuid4()
        await self.conn.execute(INSERT_PERSON, account_id, f"{CANARY}-{account_id.hex[:8]}@clinic.example")
        if tenant_id is not None:
            await self.conn.execute(INSERT_MEMBER, tenant_id, account_id, role)
        return account_id

    async def supporter(self) -> UUID:
        """Of the platform's support, with the second factor that it goes into tenants with."""
        account_id = await self.person()
        _, headers = await self.session(account_id, None)
        secret = (await self.made("/v1/me/second-factor", {}, headers))["secret"]
        await self.made("/v1/me/second-factor/confirm", {"code": pyotp.TOTP(secret).now()}, headers)
        await self.conn.execute(SUPPORT, account_id)
        return account_id

    async def session(self, account_id: UUID, tenant_id: UUID | None) -> tuple[UUID, Headers]:
        """As after signing in and choosing that tenant: its id, and what the browser sends."""
        token, session_id = secrets.token_hex(32), uuid4()
        await self.conn.execute(INSERT_SESSION, session_id, hashlib.sha256(token.encode()).digest(), account_id)
        if tenant_id is not None:
            await self.conn.execute(INSERT_SESSION_TENANT, tenant_id, session_id)
        return session_id, {"cookie": f"{SESSION}={token}", "sec-fetch-site": "same-origin"}

    async def headers(self, actor: str, scope: str) -> Headers:
        """What `actor` sends; keys are made with `scope`."""
        if actor == "anonymous":
            return {"sec-fetch-site": "same-origin"}
        if actor == "key":
            return bearer(await self.key(scope))
        if actor == "other_key":
            return bearer(await self.key("keys:read" if scope != "keys:read" else "calls:read"))
        tenant = self.theirs if actor == "foreign_owner" else self.ours
        return (await self.session(self.people[actor], tenant.tenant_id))[1]

    async def owner(self) -> Headers:
        return (await self.session(self.ours.owner, self.ours.tenant_id))[1]

    # -- what is asked for --------------------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, headers: Headers, **body: Any) -> HttpResponse:
        return await self.http.request(method, path, headers=dict(headers), **body)

    async def made(self, path: str, form: Mapping[str, Any], headers: Headers | None = None) -> dict[str, Any]:
        """By our owner, or whose `headers` these are."""
        response = await self.ask("POST", path, headers or await self.owner(), json=dict(form))
        assert response.is_success, f"{path}: {response.text}"
        found: dict[str, Any] = response.json()
        return found

    async def key(self, scope: str) -> str:
        """One for each scope."""
        if scope not in self.keys:
            self.keys[scope] = await self._key(scope)
        return self.keys[scope]

    async def _key(self, scope: str) -> str:
        form = {"name": f"{CANARY} key", "scopes": [scope], "expires_in_days": 1}
        return str((await self.made("/v1/keys", form))["api_key"])

    async def document(self, clinic: Clinic | None = None) -> UUID:
        clinic = clinic or self.ours
        async with SwitchboardApi.open(self.stack.gateway.base_url, clinic.key) as api:
            data = f"A cleaning costs {self.unique()} euros, says {clinic.mark}.".encode()
            return UUID((await api.upload_document("prices.txt", data, name=f"{clinic.mark} prices")).document_id)

    async def fresh(self, parameter: str) -> UUID:
        """Something of our clinic's own, just made, for a path parameter of that name."""
        if parameter == "call_id":
            return self.fixed[parameter]
        if parameter == "document_id":
            return await self.document()
        if parameter == "user_id":
            return await self.person(self.ours.tenant_id, "staff")
        if parameter == "session_id":
            return (await self.session(self.ours.owner, None))[0]
        if parameter == "key_id":
            form = {"name": f"{CANARY} key", "scopes": ["calls:read"]}
            return UUID((await self.made("/v1/keys", form))["key"]["key_id"])
        if parameter == "invitation_id":
            form = {"email": f"{CANARY}-{self.unique()}@guest.example", "role": "staff"}
            return UUID((await self.made("/v1/invitations", form))["invitation_id"])
        assert parameter == "access_id", f"make {parameter} here"
        return UUID((await self.made("/v1/support-access", {"minutes": 60, "reason": CANARY}))["access_id"])


def bearer(key: str) -> Headers:
    return {"authorization": f"Bearer {key}"}


async def build(stack: Together, mailbox: Mailbox, conn: asyncpg.Connection[asyncpg.Record]) -> Town:
    """Both sign up as everybody does, and set themselves up through the public API."""
    ours, theirs = await asyncio.gather(
        _clinic(stack, mailbox, CANARY, "+34911000001"), _clinic(stack, mailbox, "other", "+34911000002")
    )
    town = Town(stack, mailbox, conn, ours, theirs)
    town.people = {
        "owner": ours.owner,
        "foreign_owner": theirs.owner,
        **{role: await town.person(ours.tenant_id, role) for role in ("admin", "staff", "read_only")},
        "support": await town.supporter(),
    }
    await town.key("calls:read")
    await town.made("/v1/support-access", {"minutes": 60, "reason": CANARY})
    for clinic in (theirs, ours):
        town.fixed["call_id"] = call_id = uuid4()
        await conn.execute(INSERT_CALL, clinic.tenant_id, call_id, f"RM_{call_id.hex[:8]}", uuid4(), clinic.mark)
        said = f'[{{"text": "{clinic.mark}", "confidence": 0.9}}]'
        await conn.execute(INSERT_TURN, clinic.tenant_id, call_id, said, clinic.mark)
        await town.document(clinic)
    await town.fresh("invitation_id")
    return town


async def _clinic(stack: Together, mailbox: Mailbox, mark: str, number: str) -> Clinic:
    url = stack.gateway.base_url
    email = f"{mark}@clinic.example"
    account = await open_account(url, mailbox, name=f"{mark} clinic", email=email, time_zone="Europe/Madrid")
    async with SwitchboardApi.open(url, account.api_key) as api:
        await api.add_location(f"{mark} centre", hours=[(day, "09:00", "18:00") for day in WEEK], notes=mark)
        await api.add_number(number)
        await api.set_agent(greeting=f"{mark} speaking")
        await api.set_holidays([{"day": "2026-12-25", "name": f"{mark} day"}])
        await api.add_trunk(
            f"{mark} SBC", ["192.0.2.1" if mark == CANARY else "192.0.2.2"], [f"+3491300000{number[-1]}"]
        )
        await api.go_live()
    return Clinic(UUID(account.tenant_id), UUID(account.user_id), account.api_key, number, mark)
