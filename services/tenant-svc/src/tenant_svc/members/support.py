"""The platform's support in a tenant: let in by an owner, for a while, to look. Each coming in stands in the audit."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from asyncpg import Record
from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.members import LetSupportIn, SupportAccess, SupportAccessList
from switchboard.errors import FieldProblem, NotFound
from switchboard.ids import token
from switchboard.sealed import Sealed

from tenant_svc.members import repository as sql
from tenant_svc.store import Store
from tenant_svc.validation import refuse

MAX_REASON = 500


class Support:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def let_in(self, tenant_id: UUID, body: LetSupportIn, actor: Actor) -> SupportAccess:
        reason = str(body.reason).strip()
        if not 1 <= len(reason) <= MAX_REASON:
            problem = FieldProblem(
                "/reason", "is empty or too long", f"say in 1 to {MAX_REASON} characters what to look at"
            )
            refuse("the consent", [problem])
        now = self._store.clock.now()
        access = SupportAccess(
            access_id=self._store.ids.new(),
            reason=Sealed(reason),
            consented_by=f"{actor.kind}:{actor.id}",
            consented_at=now,
            expires_at=now + timedelta(minutes=body.minutes),
            ended_at=None,
        )
        async with self._store.write(tenant_id, actor) as write:
            earlier = write.attempt.earlier(SupportAccess)
            if earlier is not None:
                return earlier
            row = (access.access_id, reason, access.consented_by, now, access.expires_at)
            await write.conn.execute(sql.INSERT_ACCESS, *row)
            await write.audit(Line("support.let_in", Resource("support_access", token(access.access_id)), after=access))
            return await write.attempt.keep(access)

    async def all_of(self, tenant_id: UUID) -> SupportAccessList:
        async with self._store.db.tenant(tenant_id, readonly=True) as conn:
            rows = await conn.fetch(sql.SELECT_ACCESSES)
        return SupportAccessList(accesses=tuple(map(_access, rows)))

    async def end(self, tenant_id: UUID, access_id: UUID, actor: Actor) -> None:
        """Out at the next request."""
        async with self._store.write(tenant_id, actor) as write:
            if not await write.conn.fetchval(sql.END_ACCESS, access_id, self._store.clock.now()):
                raise NotFound
            await write.audit(Line("support.shown_out", Resource("support_access", token(access_id))))


def _access(row: Record) -> SupportAccess:
    return SupportAccess.model_validate({**dict(row), "reason": Sealed(row["reason"])})
