"""The requests about customers' trunks."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Empty
from switchboard.rights import Right, allowed

from tenant_svc.trunks.service import Trunks


async def serve_trunks(bus: Bus, trunks: Trunks) -> None:
    async def connect(body: contract.ConnectTrunk, call: Call) -> contract.TrunkView:
        return await trunks.add(allowed(call, Right.NUMBERS_WRITE), body, call.actor)

    async def add(body: contract.NewTrunk, call: Call) -> contract.TrunkView:
        return await connect(contract.ConnectTrunk.model_validate(body.model_dump()), call)

    async def listed(_body: Empty, call: Call) -> contract.TrunkList:
        return await trunks.all_of(allowed(call, Right.SETTINGS_READ))

    await bus.serve(contract.CONNECT_TRUNK, connect)
    await bus.serve(contract.ADD_TRUNK, add)
    await bus.serve(contract.LIST_TRUNKS, listed)
