"""Members: who they are, what they are, and that an owner is left."""

from __future__ import annotations

from uuid import UUID

from asyncpg import Record
from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.members import MemberList, MemberView
from switchboard.db import Connection
from switchboard.errors import Conflict, NotFound
from switchboard.etags import unchanged
from switchboard.ids import token
from switchboard.rights import Right, Role, require
from switchboard.sealed import Sealed

from tenant_svc.members import repository as sql
from tenant_svc.store import Store

LAST_OWNER = "that is the last owner; make somebody else an owner first"


class Members:
    """Writes of one tenant follow one another (:meth:`tenant_svc.store.Store.write`), so of two owners who remove each
    other at the same time one is left."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all_of(self, tenant_id: UUID) -> MemberList:
        async with self._store.db.tenant(tenant_id, readonly=True) as conn:
            rows = await conn.fetch(sql.SELECT_MEMBERS)
        return MemberList(members=tuple(map(_view, rows)))

    async def set_role(self, tenant_id: UUID, user_id: UUID, role: Role, actor: Actor) -> MemberView:
        """:class:`Forbidden` for who may not make or unmake owners; :class:`Conflict` for the last owner."""
        async with self._store.write(tenant_id, actor) as write:
            before = await _member(write.conn, user_id)
            if Role.OWNER in (role, before.role):
                require(actor, Right.OWNERS_WRITE)
            unchanged(actor, before.state())
            if role == before.role:
                return before
            await _check_owner_left(write.conn, before)
            await write.conn.execute(sql.UPDATE_ROLE, user_id, role.value)
            changed = (_state(before.role), _state(role))
            await write.audit(Line("member.role_set", Resource("member", token(user_id)), *changed))
        return before.model_copy(update={"role": role})

    async def remove(self, tenant_id: UUID, user_id: UUID, actor: Actor) -> None:
        """Out at their next request. Anybody may leave; who removes somebody else needs the right to."""
        leaves = actor.kind == "user" and actor.id == token(user_id)
        if not leaves:
            require(actor, Right.MEMBERS_WRITE)
        async with self._store.write(tenant_id, actor) as write:
            before = await _member(write.conn, user_id)
            if before.role == Role.OWNER and not leaves:
                require(actor, Right.OWNERS_WRITE)
            unchanged(actor, before.state())
            await _check_owner_left(write.conn, before)
            await write.conn.execute(sql.DELETE_MEMBER, user_id)
            action = "member.left" if leaves else "member.removed"
            await write.audit(Line(action, Resource("member", token(user_id)), before=_state(before.role)))


async def _member(conn: Connection, user_id: UUID) -> MemberView:
    row = await conn.fetchrow(sql.SELECT_MEMBER, user_id)
    if row is None:
        raise NotFound
    return _view(row)


async def _check_owner_left(conn: Connection, before: MemberView) -> None:
    if before.role == Role.OWNER and await conn.fetchval(sql.COUNT_OWNERS) < 2:
        raise Conflict(LAST_OWNER)


def _view(row: Record) -> MemberView:
    return MemberView.model_validate({**dict(row), "email": Sealed(row["email"])})


def _state(role: Role) -> dict[str, str]:
    return {"role": role.value}
