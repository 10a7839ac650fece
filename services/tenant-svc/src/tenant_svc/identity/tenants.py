"""A person's tenants: being in one of them at a time."""

from __future__ import annotations

from uuid import UUID

from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.identity import SignedIn
from switchboard.db import Connection
from switchboard.errors import Forbidden, NotFound
from switchboard.ids import token
from switchboard.rights import SUPPORT

from tenant_svc.identity import repository as sql
from tenant_svc.identity.accounts import account_of
from tenant_svc.identity.sessions import Sessions, SignedInUser
from tenant_svc.members.repository import SELECT_ACCESS_IN_FORCE
from tenant_svc.store import Store


class Memberships:
    def __init__(self, store: Store, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions

    async def choose(self, user: SignedInUser, tenant_id: UUID, actor: Actor) -> SignedIn:
        """A new session in ``tenant_id`` in the place of this one. :class:`NotFound` where the user is no member, as where
        there is no such tenant."""
        async with self._store.db.tenant(tenant_id) as conn:
            if await conn.fetchval(sql.SELECT_ROLE, user.account_id) is not None:
                return await self._enter(conn, user)
        return await self._enter_as_support(user, tenant_id, actor)

    async def _enter(self, conn: Connection, user: SignedInUser) -> SignedIn:
        signed_in, session_id = await self._sessions.replace(conn, user)
        await conn.execute(sql.INSERT_SESSION_TENANT, session_id, self._store.clock.now())
        return signed_in

    async def _enter_as_support(self, user: SignedInUser, tenant_id: UUID, actor: Actor) -> SignedIn:
        """For the platform's support while the tenant lets it in. It stands in the tenant's audit."""
        async with self._store.write(tenant_id, actor.model_copy(update={"roles": (SUPPORT,)})) as write:
            account = await account_of(write.conn, user)
            access = await write.conn.fetchval(SELECT_ACCESS_IN_FORCE, self._store.clock.now())
            if not account["support"] or access is None:
                raise NotFound
            if account["totp_confirmed_at"] is None:
                raise Forbidden("support goes into a tenant with a second factor only: POST /v1/me/second-factor")
            await write.audit(Line("support.entered", Resource("support_access", token(access))))
            return await self._enter(write.conn, user)
