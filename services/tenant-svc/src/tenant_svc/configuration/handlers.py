"""The requests that edit a draft and publish it."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Empty
from switchboard.contracts.snapshot import AgentConfiguration, Location
from switchboard.rights import Right, allowed

from tenant_svc.configuration.publishing import Publishing
from tenant_svc.configuration.service import Editing


async def serve_editing(bus: Bus, editing: Editing) -> None:
    async def add_location(body: contract.NewLocation, call: Call) -> Location:
        return await editing.add_location(allowed(call, Right.SETTINGS_WRITE), body, call.actor)

    async def set_holidays(body: contract.SetHolidays, call: Call) -> contract.TenantView:
        return await editing.set_holidays(allowed(call, Right.SETTINGS_WRITE), body, call.actor)

    async def set_agent(body: AgentConfiguration, call: Call) -> contract.TenantView:
        return await editing.set_agent(allowed(call, Right.SETTINGS_WRITE), body, call.actor)

    async def providers(_body: Empty, call: Call) -> contract.ProviderList:
        allowed(call, Right.SETTINGS_READ)
        return editing.providers()

    await bus.serve(contract.ADD_LOCATION, add_location)
    await bus.serve(contract.SET_HOLIDAYS, set_holidays)
    await bus.serve(contract.SET_AGENT, set_agent)
    await bus.serve(contract.LIST_PROVIDERS, providers)


async def serve_publishing(bus: Bus, publishing: Publishing) -> None:
    async def publish(_body: Empty, call: Call) -> contract.Published:
        return await publishing.publish(allowed(call, Right.LIVE_WRITE), call.actor)

    async def go_live(_body: Empty, call: Call) -> contract.Published:
        return await publishing.go_live(allowed(call, Right.LIVE_WRITE), call.actor)

    async def pause(_body: Empty, call: Call) -> contract.Published:
        return await publishing.pause(allowed(call, Right.LIVE_WRITE), call.actor)

    await bus.serve(contract.PUBLISH, publish)
    await bus.serve(contract.GO_LIVE, go_live)
    await bus.serve(contract.PAUSE, pause)
