"""The requests about tenants as such."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Empty
from switchboard.rights import Right, allowed

from tenant_svc.tenants.service import Tenants


async def serve_tenants(bus: Bus, tenants: Tenants) -> None:
    async def get(_body: Empty, call: Call) -> contract.TenantView:
        return await tenants.get(allowed(call, Right.SETTINGS_READ))

    await bus.serve(contract.GET_TENANT, get)
