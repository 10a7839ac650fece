"""Signing up, and looking at a tenant."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.snapshot import AgentConfiguration
from switchboard.contracts.tenants import SignedUp, SignUp, TenantCreated, TenantView
from switchboard.db import Connection
from switchboard.errors import NotFound, Unavailable
from switchboard.ids import token
from switchboard.rights import Role

from tenant_svc.keys.service import SECRET_BYTES, format_api_key
from tenant_svc.store import DataKeys, Store
from tenant_svc.tenants import repository as sql
from tenant_svc.tenants.models import Draft
from tenant_svc.validation import check, language_problem


class Tenants:
    def __init__(self, store: Store, keys: DataKeys, entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._keys = keys
        self._entropy = entropy

    async def sign_up(self, body: SignUp, actor: Actor) -> SignedUp:
        """A tenant with its owner, its data key and one API key, which is told this once."""
        check([language_problem(body.language, "/language")], body)
        ids = self._store.ids
        tenant_id, user_id, key_id = ids.new(), ids.new(), ids.new()
        secret = self._entropy(SECRET_BYTES).hex()
        wrapped = self._keys.create(tenant_id)
        # Before the commit, because the fact below is sealed with it. An orphan, should the commit fail, opens nothing.
        await self._keys.publish(tenant_id, wrapped)
        try:
            async with self._store.db.tenant(tenant_id) as conn:
                await self._insert(conn, body, user_id, key_id, secret, wrapped)
                write = self._store.opened(conn, tenant_id, actor)
                # Without the address: it can be looked up by the user's id, and the audit can't be changed.
                made = {"name": body.name, "time_zone": body.time_zone, "language": body.language}
                after = {**made, "user_id": token(user_id), "api_key_id": token(key_id)}
                await write.audit(Line("tenant.signed_up", Resource("tenant", token(tenant_id)), after=after))
                await write.tell(TenantCreated(tenant_id=tenant_id, at=self._store.clock.now()))
        except Exception:
            with suppress(Unavailable):
                await self._keys.destroy(tenant_id)
            raise
        return SignedUp(tenant_id=tenant_id, user_id=user_id, api_key=format_api_key(key_id, secret))

    async def _insert(
        self, conn: Connection, body: SignUp, user_id: UUID, key_id: UUID, secret: str, wrapped: bytes
    ) -> None:
        now = self._store.clock.now()
        agent = AgentConfiguration(language=body.language).model_dump(mode="json")
        await conn.execute(sql.INSERT_TENANT, body.name, body.time_zone, body.language, agent, now)
        await conn.execute(sql.INSERT_USER, user_id, body.email, now)
        await conn.execute(sql.INSERT_MEMBERSHIP, user_id, Role.OWNER, now)
        digest = hashlib.sha256(secret.encode()).digest()
        await conn.execute(sql.INSERT_API_KEY, key_id, digest, [Role.OWNER], now)
        await conn.execute(sql.INSERT_DATA_KEY, wrapped, now)

    async def get(self, tenant_id: UUID) -> TenantView:
        """The draft as it stands, and which version is published."""
        async with self._store.db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            return (await load_draft(conn)).view()


async def load_draft(conn: Connection) -> Draft:
    """The draft of the transaction's tenant; :class:`NotFound` without one."""
    rows = await sql.draft_rows(conn)
    if rows is None:
        raise NotFound
    return Draft.of(rows)
