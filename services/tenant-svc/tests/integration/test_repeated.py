"""The same new thing asked for again by its id: made once, answered twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Contract, Empty, Rpc
from switchboard.contracts.snapshot import Opening
from switchboard.errors import Conflict
from tenant_svc.testing import TenantSvc

pytestmark = pytest.mark.integration

NUMBER = "+34911000150"
OPEN = Opening.model_validate({"day": "monday", "opens": "09:00", "closes": "18:00"})


async def test_a_repeated_request_makes_one_of_everything(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.sign_up()
    new = tenant_svc.gateway.ids.new
    location = contract.NewLocation(location_id=new(), name="Centro", hours=(OPEN,))
    trunk = contract.ConnectTrunk(
        trunk_id=new(), name="SBC", allowed_addresses=("192.0.2.1",), numbers=(NUMBER, "+34911000151")
    )
    number = contract.NewNumber(number_id=new(), number="+34911000152")
    requests: list[tuple[Rpc[Any, Any], Contract]] = [
        (contract.ADD_LOCATION, location),
        (contract.CONNECT_TRUNK, trunk),
        (contract.ADD_NUMBER, number),
    ]
    for spec, body in requests:
        answers = await asyncio.gather(*(tenant_svc.ask(spec, body, clinic) for _ in range(3)))
        assert answers[0] == answers[1] == answers[2]
    view = await tenant_svc.ask(contract.GET_TENANT, Empty(), clinic)
    assert [one.id for one in view.locations] == [location.location_id]
    assert [one.number for one in view.numbers] == [number.number]
    trunks = await tenant_svc.ask(contract.LIST_TRUNKS, Empty(), clinic)
    assert [one.trunk_id for one in trunks.trunks] == [trunk.trunk_id]
    written = [row["action"] for row in await tenant_svc.rows("SELECT action FROM tenancy.audit_log")]
    assert sorted(written) == ["location.added", "number.added", "tenant.signed_up", "trunk.added"]


async def test_an_id_that_stands_for_something_else_is_refused(tenant_svc: TenantSvc) -> None:
    clinic, other = await tenant_svc.sign_up(), await tenant_svc.sign_up("Otra")
    first = contract.NewLocation(location_id=tenant_svc.gateway.ids.new(), name="Centro")
    await tenant_svc.ask(contract.ADD_LOCATION, first, clinic)
    with pytest.raises(Conflict, match="idempotency key"):
        await tenant_svc.ask(contract.ADD_LOCATION, first.model_copy(update={"name": "Sur"}), clinic)
    # Of another tenant it is nothing that is there.
    made = await tenant_svc.ask(contract.ADD_LOCATION, first.model_copy(update={"name": "Sur"}), other)
    assert made.name == "Sur"
