"""The requests about tenants as such."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Actor, Empty

from tenant_svc.authorisation import newcomer, reader
from tenant_svc.tenants.service import Tenants


async def serve_tenants(bus: Bus, tenants: Tenants) -> None:
    async def sign_up(body: contract.SignUp, call: Call) -> contract.SignedUp:
        return await tenants.sign_up(body, newcomer(call))

    async def authenticate(body: contract.Authenticate, call: Call) -> Actor:
        newcomer(call)
        return await tenants.authenticate(body)

    async def get(_body: Empty, call: Call) -> contract.TenantView:
        return await tenants.get(reader(call))

    await bus.serve(contract.SIGN_UP, sign_up)
    await bus.serve(contract.AUTHENTICATE, authenticate)
    await bus.serve(contract.GET_TENANT, get)
