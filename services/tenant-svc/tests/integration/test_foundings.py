"""Founding a tenant by a request that has a key: once, and answered as the first time."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from switchboard.clock import ManualClock, SystemClock
from switchboard.contracts import identity
from switchboard.contracts.base import Actor, Terms
from switchboard.db import Database
from switchboard.errors import InFlight, InvalidInput, SwitchboardError
from switchboard.ids import Ids
from switchboard.repeats import KEEP
from tenant_svc.identity.sessions import Sessions
from tenant_svc.tenants.service import MOST
from tenant_svc.testing import TenantSvc

pytestmark = pytest.mark.integration


async def found(svc: TenantSvc, person: Actor, name: str, key: str | None = "k") -> UUID:
    body = identity.NewTenant(name=name, time_zone="Europe/Madrid")
    terms = None if key is None else Terms(key=key, request=hashlib.sha256(name.encode()).hexdigest())
    made = await svc.ask_as(identity.NEW_TENANT, body, person.model_copy(update={"terms": terms}))
    return UUID(str(made.tenant_id))


async def tenants(svc: TenantSvc) -> set[UUID]:
    return {row["tenant_id"] for row in await svc.rows("SELECT tenant_id FROM tenancy.tenants")}


async def test_a_key_founds_one_tenant_of_one_person(tenant_svc: TenantSvc) -> None:
    person, other = await tenant_svc.person(), await tenant_svc.person()
    ours = [await found(tenant_svc, person, "Sol") for _ in range(3)]
    theirs = await found(tenant_svc, other, "Sol")
    with pytest.raises(InvalidInput, match="another request"):
        await found(tenant_svc, person, "Luna")
    assert await tenants(tenant_svc) == {*ours, theirs}
    assert len({*ours, theirs}) == 2
    unnamed = {await found(tenant_svc, person, "Sol", None) for _ in range(2)}
    assert len(await tenants(tenant_svc)) == 4
    assert unnamed < await tenants(tenant_svc)


async def test_at_once_one_is_founded(tenant_svc: TenantSvc) -> None:
    """And its data key stays, whatever becomes of the others."""
    person = await tenant_svc.person()

    async def attempt() -> Any:
        try:
            return await found(tenant_svc, person, "Sol")
        except SwitchboardError as error:
            return error

    outcomes = await asyncio.gather(*(attempt() for _ in range(8)))
    made = {outcome for outcome in outcomes if isinstance(outcome, UUID)}
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, SwitchboardError)} <= {InFlight}
    assert made == await tenants(tenant_svc)
    assert len(made) == 1
    await tenant_svc.gateway.keyring.cipher(made.pop())


async def test_who_may_found_no_more_is_still_told_of_the_last_one(tenant_svc: TenantSvc) -> None:
    person = await tenant_svc.person()
    made = [await found(tenant_svc, person, "Sol", str(number)) for number in range(MOST)]
    assert await found(tenant_svc, person, "Sol", str(MOST - 1)) == made[-1]


async def test_after_a_day_a_key_may_stand_for_something_else(tenant_svc: TenantSvc, db: Database) -> None:
    person = await tenant_svc.person()
    first = await found(tenant_svc, person, "Sol")
    clock = ManualClock(SystemClock().now())
    sessions = Sessions(db, Ids(clock), clock, secrets.token_bytes)
    clock.advance((KEEP - timedelta(minutes=1)).total_seconds())
    await sessions.prune()
    assert len(await tenant_svc.rows("SELECT 1 FROM tenancy.foundings")) == 1
    clock.advance(120)
    await sessions.prune()
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.foundings") == []
    assert await found(tenant_svc, person, "Luna") != first
    await tenant_svc.rows("UPDATE tenancy.foundings SET created_at = created_at - interval '25 hours'")
    await found(tenant_svc, person, "Mar")
    assert len(await tenants(tenant_svc)) == 3
