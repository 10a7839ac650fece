"""Trunks of customers that bring their own SBC. LiveKit gets them from the reconciler, never from a request."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from switchboard.audit import Line, Resource
from switchboard.columns import SealedColumn
from switchboard.contracts.base import Actor
from switchboard.contracts.tenants import ConnectTrunk, TrunkList, TrunksChanged, TrunkView
from switchboard.db import Connection
from switchboard.errors import Conflict, FieldProblem
from switchboard.ids import token
from switchboard.sealed import DataKeys as Keys

from tenant_svc.store import DataKeys, Store, repeated
from tenant_svc.trunks import repository as sql
from tenant_svc.validation import Network, address_problems, check, number_problem

MAX_TRUNKS = 10
"""LiveKit loads every trunk at every INVITE."""


MAX_PASSWORD = 128

PASSWORD = SealedColumn("tenancy.trunks", "auth_password")
"""The password of SIP's digest authentication."""


class Trunks:
    def __init__(self, store: Store, keys: DataKeys, carriers: Sequence[Network]) -> None:
        self._store = store
        self._keys = keys
        self._carriers = tuple(carriers)

    async def add(self, tenant_id: UUID, body: ConnectTrunk, actor: Actor) -> TrunkView:
        """:class:`Conflict` when another trunk, whosever it is, takes one of the numbers."""
        check(self._problems(body), body)
        trunk_id = body.trunk_id or self._store.ids.new()
        sealed: bytes | None = None
        if body.auth_password is not None:
            sealed = PASSWORD.seal(await self._keys.cipher(tenant_id), trunk_id, body.auth_password)
        numbers, addresses = sorted(set(body.numbers)), sorted(set(body.allowed_addresses))
        now = self._store.clock.now()
        try:
            async with self._store.write(tenant_id, actor) as write:
                earlier = write.attempt.earlier(TrunkView)
                if earlier is not None:
                    return earlier
                cell = await write.conn.fetchval(sql.SELECT_CELL)
                view = TrunkView(
                    trunk_id=trunk_id,
                    name=body.name,
                    allowed_addresses=tuple(addresses),
                    numbers=tuple(numbers),
                    media_cell=str(cell),
                )
                made = await write.conn.fetchrow(sql.SELECT_TRUNK, trunk_id)
                if made is not None:
                    return repeated(TrunkView.model_validate(dict(made)), view)
                if await write.conn.fetchval(sql.COUNT_TRUNKS) >= MAX_TRUNKS:
                    raise Conflict(f"there are {MAX_TRUNKS} trunks already, and that is the most there can be")
                await write.conn.execute(
                    sql.INSERT_TRUNK, trunk_id, body.name, cell, addresses, body.auth_username, sealed, now
                )
                rows = [(trunk_id, cell, number) for number in numbers]
                await write.conn.executemany(sql.INSERT_TRUNK_NUMBER, rows)
                made_of = {**dict(view), "auth_username": body.auth_username, "auth_password": body.auth_password}
                await write.audit(Line("trunk.added", Resource("trunk", token(trunk_id)), after=made_of))
                await write.tell(TrunksChanged(tenant_id=tenant_id, at=now))
                return await write.attempt.keep(view)
        except asyncpg.UniqueViolationError:
            raise Conflict("one of these numbers can't be used on a trunk") from None

    async def all_of(self, tenant_id: UUID) -> TrunkList:
        async with self._store.db.tenant(tenant_id, readonly=True) as conn:
            rows = await conn.fetch(sql.SELECT_TRUNKS)
        return TrunkList(trunks=tuple(TrunkView.model_validate(dict(row)) for row in rows))

    def _problems(self, body: ConnectTrunk) -> list[FieldProblem | None]:
        found: list[FieldProblem | None] = [
            number_problem(number, f"/numbers/{index}") for index, number in enumerate(body.numbers)
        ]
        found += address_problems(body.allowed_addresses, self._carriers)
        if body.auth_password is not None and len(body.auth_password) > MAX_PASSWORD:
            fix = f"send at most {MAX_PASSWORD} characters"
            found.append(FieldProblem("/auth_password", "is too long", fix))
        if (not body.auth_username) != (not body.auth_password):
            lacking = "/auth_password" if body.auth_username else "/auth_username"
            fix = "give user name and password, or neither"
            found.append(FieldProblem(lacking, "is missing beside the other one", fix))
        elif body.auth_username == "":
            found.append(FieldProblem("/auth_username", "is empty", "leave it out when the SBC has no credentials"))
        return found


async def reseal_passwords(conn: Connection, keys: Keys) -> int:
    """Passwords of the transaction's tenant under the key that seals today; how many were under another one.

    There are :data:`MAX_TRUNKS` at most, so one transaction holds them all.
    """
    count = 0
    for row in await conn.fetch(sql.LOCK_SEALED):
        sealed = PASSWORD.resealed(keys, row["id"], bytes(row["auth_password_sealed"]))
        if sealed is not None:
            await conn.execute(sql.RESEAL, row["id"], sealed)
            count += 1
    return count
