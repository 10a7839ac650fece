"""Founding a tenant, and looking at one."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.identity import NewTenant, TenantMade
from switchboard.contracts.snapshot import AgentConfiguration
from switchboard.contracts.tenants import TenantCreated, TenantView
from switchboard.db import Connection
from switchboard.errors import Conflict, NotFound, Unavailable
from switchboard.ids import token
from switchboard.rights import SUPPORT, Role

from tenant_svc.identity.repository import INSERT_MEMBER, SELECT_TENANTS
from tenant_svc.store import DataKeys, Store
from tenant_svc.tenants import repository as sql
from tenant_svc.tenants.foundings import Founding
from tenant_svc.tenants.models import Draft
from tenant_svc.validation import check, language_problem

MOST = 20
"""Tenants of one person."""


class Tenants:
    def __init__(self, store: Store, keys: DataKeys) -> None:
        self._store = store
        self._keys = keys

    async def found(self, body: NewTenant, owner_id: UUID, actor: Actor) -> TenantMade:
        """A tenant with its data key and one owner; for a request that is made again, the one of the first time."""
        check([language_problem(body.language, "/language")], body)
        tenant_id = self._store.ids.new()
        wrapped: bytes | None = None
        try:
            async with self._store.db.tenant(tenant_id) as conn:
                founding = Founding(conn, owner_id, actor, self._store.clock.now())
                earlier = await founding.earlier()
                if earlier is not None:
                    return TenantMade(tenant_id=earlier)
                await self._check_not_too_many(conn, owner_id)
                wrapped = self._keys.create(tenant_id)
                # Before the commit, because the fact below is sealed with it. An orphan, should the commit fail, opens
                # nothing.
                await self._keys.publish(tenant_id, wrapped)
                await self._insert(conn, body, owner_id, wrapped)
                await founding.keep(tenant_id)
                write = self._store.opened(conn, tenant_id, actor)
                # Without the owner's address: it can be looked up by the id, and the audit can't be changed.
                after = {**body.model_dump(), "owner_id": token(owner_id)}
                await write.audit(Line("tenant.signed_up", Resource("tenant", token(tenant_id)), after=after))
                await write.tell(TenantCreated(tenant_id=tenant_id, at=self._store.clock.now()))
        except Exception:
            if wrapped is not None:
                with suppress(Unavailable):
                    await self._keys.destroy(tenant_id)
            raise
        return TenantMade(tenant_id=tenant_id)

    async def _check_not_too_many(self, conn: Connection, owner_id: UUID) -> None:
        held = await conn.fetch(SELECT_TENANTS, owner_id, self._store.clock.now())
        if len([row for row in held if row["role"] != SUPPORT]) >= MOST:
            raise Conflict(f"you are in {MOST} tenants already, and that is the most there can be")

    async def _insert(self, conn: Connection, body: NewTenant, owner_id: UUID, wrapped: bytes) -> None:
        now = self._store.clock.now()
        agent = AgentConfiguration(language=body.language).model_dump(mode="json")
        await conn.execute(sql.INSERT_TENANT, body.name, body.time_zone, body.language, agent, now)
        await conn.execute(INSERT_MEMBER, owner_id, Role.OWNER.value, now)
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
