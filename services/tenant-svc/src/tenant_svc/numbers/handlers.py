"""The requests about numbers."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts import tenants as contract
from switchboard.contracts.snapshot import NumberBinding
from switchboard.rights import Right, allowed

from tenant_svc.numbers.service import Numbers


async def serve_numbers(bus: Bus, numbers: Numbers) -> None:
    async def add(body: contract.NewNumber, call: Call) -> NumberBinding:
        return await numbers.add(allowed(call, Right.NUMBERS_WRITE), body, call.actor)

    await bus.serve(contract.ADD_NUMBER, add)
