"""Binding a dialled number to a tenant, on one trunk and, where the carrier states one, one carrier account."""

from __future__ import annotations

from uuid import UUID

import asyncpg
from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.snapshot import PLATFORM_TRUNK, NumberBinding
from switchboard.contracts.tenants import NewNumber
from switchboard.db import Connection
from switchboard.errors import Conflict, FieldProblem, InvalidId, InvalidInput
from switchboard.ids import parse_token, token

from tenant_svc.numbers import repository as sql
from tenant_svc.store import Store, repeated
from tenant_svc.validation import check, number_problem

MAX_NUMBERS = 500
TAKEN = "that number can't be bound on this trunk and carrier account"
"""Says the same of one's own binding and of somebody else's."""


class Numbers:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tenant_id: UUID, body: NewNumber, actor: Actor) -> NumberBinding:
        """:class:`Conflict` when the number is bound already, by whomever."""
        check([number_problem(body.number, "/number")], body)
        trunk_id = _trunk_id(body.trunk)
        number_id = body.number_id or self._store.ids.new()
        binding = NumberBinding(number=body.number, trunk=body.trunk, carrier_account=body.carrier_account)
        try:
            async with self._store.write(tenant_id, actor) as write:
                earlier = write.attempt.earlier(NumberBinding)
                if earlier is not None:
                    return earlier
                made = await write.conn.fetchrow(sql.SELECT_NUMBER, number_id)
                if made is not None:
                    return repeated(NumberBinding.model_validate(dict(made)), binding)
                if trunk_id is not None:
                    await _check_trunk(write.conn, trunk_id, body.number)
                await _check_free(write.conn, body)
                await write.conn.execute(
                    sql.INSERT_NUMBER,
                    number_id,
                    body.number,
                    body.trunk,
                    trunk_id,
                    body.carrier_account,
                    self._store.clock.now(),
                )
                await write.audit(Line("number.added", Resource("number", token(number_id)), after=binding))
                return await write.attempt.keep(binding)
        except asyncpg.UniqueViolationError:
            raise Conflict(TAKEN) from None


def _trunk_id(trunk: str) -> UUID | None:
    if trunk == PLATFORM_TRUNK:
        return None
    try:
        return parse_token(trunk, "trunk")
    except InvalidId:
        raise _wrong_trunk() from None


def _wrong_trunk() -> InvalidInput:
    problem = FieldProblem("/trunk", "is none of your trunks", f"use {PLATFORM_TRUNK}, or the id of a trunk you added")
    return InvalidInput("there is no such trunk", fields=[problem])


async def _check_trunk(conn: Connection, trunk_id: UUID, number: str) -> None:
    """The trunk must be this tenant's, and let calls to that number in."""
    if not await conn.fetchval(sql.SELECT_OWN_TRUNK, trunk_id):
        raise _wrong_trunk()
    if not await conn.fetchval(sql.SELECT_TRUNK_NUMBER, trunk_id, number):
        problem = FieldProblem("/number", "is not among the trunk's numbers", "add a trunk that lists this number")
        raise InvalidInput("that trunk takes no calls to this number", fields=[problem])


async def _check_free(conn: Connection, body: NewNumber) -> None:
    if await conn.fetchval(sql.COUNT_NUMBERS) >= MAX_NUMBERS:
        raise Conflict(f"there are {MAX_NUMBERS} numbers already, and that is the most there can be")
    if await conn.fetchval(sql.NUMBER_TAKEN, body.trunk, body.number, body.carrier_account):
        raise Conflict(TAKEN)
