"""LiveKit's SIP service: inbound trunks and dispatch rules of one media cell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
from livekit.api import LiveKitAPI
from livekit.api.twirp_client import ServerError
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    CreateSIPInboundTrunkRequest,
    DeleteSIPDispatchRuleRequest,
    DeleteSIPTrunkRequest,
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPHeaderOptions,
    SIPInboundTrunkInfo,
)
from switchboard.errors import SwitchboardError, Unavailable
from switchboard.settings import LiveKitSettings

from tenant_svc.reconciler.models import PREFIX, TRUNK_ATTRIBUTE, Held, Inventory, RuleSpec, TrunkSpec

TIMEOUT_S = 5.0
T = TypeVar("T")


class Refused(SwitchboardError):
    """LiveKit does not take this trunk or rule; ``detail`` is its code."""

    code = "livekit-refused"
    status = 502
    title = "LiveKit refused it"


class LiveKitSip:
    """``Unavailable`` when LiveKit does not answer, :class:`Refused` when it says no. Made by :meth:`open`."""

    def __init__(self, api: LiveKitAPI) -> None:
        self._sip = api.sip

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: LiveKitSettings) -> AsyncIterator[LiveKitSip]:
        api = LiveKitAPI(
            settings.url,
            settings.api_key,
            settings.api_secret.get_secret_value(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            failover=False,  # it knows LiveKit Cloud's regions only; the next round is our retry
        )
        try:
            yield cls(api)
        finally:
            await api.aclose()

    async def trunks(self) -> Inventory[TrunkSpec]:
        found = await _asked(self._sip.list_inbound_trunk(ListSIPInboundTrunkRequest()))
        ours = [item for item in found.items if item.name.startswith(PREFIX)]
        held = tuple(Held(item.sip_trunk_id, item.name, read_trunk(item)) for item in ours)
        return Inventory(held, len(found.items) - len(held))

    async def create_trunk(self, spec: TrunkSpec) -> str:
        """Its id, which LiveKit makes."""
        request = CreateSIPInboundTrunkRequest(trunk=write_trunk(spec))
        return (await _asked(self._sip.create_inbound_trunk(request))).sip_trunk_id

    async def replace_trunk(self, trunk_id: str, spec: TrunkSpec) -> None:
        await _asked(self._sip.update_inbound_trunk(trunk_id, write_trunk(spec)))

    async def delete_trunk(self, trunk_id: str) -> None:
        await _gone(self._sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=trunk_id)))

    async def rules(self) -> Inventory[RuleSpec]:
        found = await _asked(self._sip.list_dispatch_rule(ListSIPDispatchRuleRequest()))
        ours = [item for item in found.items if item.name.startswith(PREFIX)]
        held = tuple(Held(item.sip_dispatch_rule_id, item.name, read_rule(item)) for item in ours)
        return Inventory(held, len(found.items) - len(held))

    async def create_rule(self, spec: RuleSpec) -> str:
        request = CreateSIPDispatchRuleRequest(dispatch_rule=write_rule(spec))
        return (await _asked(self._sip.create_dispatch_rule(request))).sip_dispatch_rule_id

    async def replace_rule(self, rule_id: str, spec: RuleSpec) -> None:
        await _asked(self._sip.update_dispatch_rule(rule_id, write_rule(spec)))

    async def delete_rule(self, rule_id: str) -> None:
        await _gone(self._sip.delete_dispatch_rule(DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id)))


async def _asked(request: Awaitable[T]) -> T:
    try:
        return await request
    except ServerError as error:
        if error.status >= 500:
            raise Unavailable(f"LiveKit answered {error.code}") from error
        # Its message may name numbers, so only the code travels on.
        raise Refused(f"LiveKit answered {error.code}") from error
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise Unavailable("LiveKit does not answer") from error


async def _gone(request: Awaitable[object]) -> None:
    """Deleted, or not there any more: another replica may have been first."""
    try:
        await _asked(request)
    except Refused as error:
        if not isinstance(error.__cause__, ServerError) or error.__cause__.code != "not_found":
            raise


def write_trunk(spec: TrunkSpec) -> SIPInboundTrunkInfo:
    """The trunk as LiveKit takes it. Its X-* headers become attributes: a carrier states its account in one."""
    trunk = SIPInboundTrunkInfo(
        name=spec.name,
        metadata=spec.name,
        numbers=spec.numbers,
        allowed_addresses=spec.addresses,
        auth_username=spec.username,
        auth_password=spec.password,
        include_headers=SIPHeaderOptions.SIP_X_HEADERS,
    )
    trunk.ringing_timeout.FromSeconds(spec.ringing_timeout_s)
    trunk.max_call_duration.FromSeconds(spec.max_call_s)
    return trunk


def read_trunk(info: SIPInboundTrunkInfo) -> TrunkSpec | None:
    """The spec that ``info`` was written from; ``None`` when it holds something that we never write."""
    if info.include_headers != SIPHeaderOptions.SIP_X_HEADERS or info.metadata != info.name or info.allowed_numbers:
        return None
    spec = TrunkSpec(
        key=info.name.removeprefix(f"{PREFIX}trunk:"),
        addresses=tuple(sorted(info.allowed_addresses)),
        numbers=tuple(sorted(info.numbers)),
        ringing_timeout_s=info.ringing_timeout.ToSeconds(),
        max_call_s=info.max_call_duration.ToSeconds(),
        username=info.auth_username,
        password=info.auth_password,
    )
    return spec if spec.name == info.name else None


def write_rule(spec: RuleSpec) -> SIPDispatchRuleInfo:
    """One room for each call on one trunk. A rule without ``trunk_ids`` would let calls in that match no trunk."""
    assert spec.trunk_id
    return SIPDispatchRuleInfo(
        name=spec.name,
        metadata=spec.name,
        trunk_ids=[spec.trunk_id],
        attributes=dict(spec.attributes),
        rule=SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix=spec.room_prefix)),
        room_config=RoomConfiguration(agents=[RoomAgentDispatch(agent_name=spec.agent_name)]),
    )


def read_rule(info: SIPDispatchRuleInfo) -> RuleSpec | None:
    """Like :func:`read_trunk`."""
    if info.rule.WhichOneof("rule") != "dispatch_rule_individual" or len(info.trunk_ids) != 1:
        return None
    agents = info.room_config.agents
    plain = info.metadata == info.name and not info.inbound_numbers and not info.numbers and len(agents) == 1
    spec = RuleSpec(
        key=info.attributes.get(TRUNK_ATTRIBUTE, ""),
        trunk_id=info.trunk_ids[0],
        agent_name=agents[0].agent_name if agents else "",
        room_prefix=info.rule.dispatch_rule_individual.room_prefix,
    )
    return spec if plain and spec.name == info.name and dict(info.attributes) == dict(spec.attributes) else None
