"""The requests about API keys."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts import keys as contract
from switchboard.contracts.base import Actor, Empty
from switchboard.rights import Right, allowed

from tenant_svc.authorisation import newcomer
from tenant_svc.keys.service import Keys


async def serve_keys(bus: Bus, keys: Keys) -> None:
    async def authenticate(body: contract.Authenticate, call: Call) -> Actor:
        newcomer(call)
        return await keys.authenticate(body)

    async def make(body: contract.NewKey, call: Call) -> contract.KeyMade:
        return await keys.make(allowed(call, Right.KEYS_WRITE), body, call.actor)

    async def listed(_body: Empty, call: Call) -> contract.KeyList:
        return await keys.all_of(allowed(call, Right.KEYS_READ))

    async def revoke(body: contract.RevokeKey, call: Call) -> Empty:
        await keys.revoke(allowed(call, Right.KEYS_WRITE), body.key_id, call.actor)
        return Empty()

    await bus.serve(contract.AUTHENTICATE, authenticate)
    await bus.serve(contract.NEW_KEY, make)
    await bus.serve(contract.LIST_KEYS, listed)
    await bus.serve(contract.REVOKE_KEY, revoke)
