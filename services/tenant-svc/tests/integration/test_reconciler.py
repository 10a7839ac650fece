"""Trunks and rules in a real LiveKit on a real Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio
from fleet.servers import LiveKitServer, RedisServer
from livekit.api import LiveKitAPI
from livekit.protocol.sip import (
    CreateSIPInboundTrunkRequest,
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    SIPInboundTrunkInfo,
)
from pydantic import SecretStr
from switchboard.contracts import tenants as contract
from switchboard.settings import LiveKitSettings
from tenant_svc.settings import Settings
from tenant_svc.testing import TenantSvc, until

pytestmark = pytest.mark.integration

NUMBER = "+34911000301"


@pytest_asyncio.fixture
async def emptied(livekit_redis: RedisServer) -> AsyncIterator[Any]:
    """A client of LiveKit's Redis, which begins and ends empty."""
    client = redis.asyncio.Redis.from_url(livekit_redis.url)
    await client.flushall()
    yield client
    await client.flushall()
    await client.aclose()


@pytest_asyncio.fixture
async def livekit(livekit_server: LiveKitServer, emptied: Any) -> AsyncIterator[LiveKitAPI]:
    async with LiveKitAPI(livekit_server.http_url, livekit_server.api_key, livekit_server.api_secret) as api:
        yield api


@pytest.fixture
def settings(settings: Settings, livekit_server: LiveKitServer, livekit: LiveKitAPI) -> Settings:
    """As elsewhere, with a LiveKit."""
    there = LiveKitSettings(
        url=livekit_server.url, api_key=livekit_server.api_key, api_secret=SecretStr(livekit_server.api_secret)
    )
    often = settings.reconciler.model_copy(update={"every_s": 0.3})
    return settings.model_copy(update={"livekit": there, "reconciler": often})


async def trunks(api: LiveKitAPI) -> dict[str, SIPInboundTrunkInfo]:
    found = await api.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())
    return {item.name: item for item in found.items}


async def rules(api: LiveKitAPI) -> dict[str, Any]:
    found = await api.sip.list_dispatch_rule(ListSIPDispatchRuleRequest())
    return {item.name: item for item in found.items}


async def rounds(svc: TenantSvc) -> list[dict[str, Any]]:
    """One round, asked for by an operator."""
    answer = await svc.operate("POST", "/ops/reconcile")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["cells"])


async def test_the_platforms_trunk_and_its_rule_are_there_from_the_start(
    tenant_svc: TenantSvc, livekit: LiveKitAPI
) -> None:
    async def there() -> bool:
        return bool(await rules(livekit))

    await until(there)
    trunk = (await trunks(livekit))["switchboard:trunk:platform"]
    rule = (await rules(livekit))["switchboard:rule:platform"]
    assert list(trunk.numbers) == []
    assert list(trunk.allowed_addresses) == ["127.0.0.1/32"]
    assert trunk.ringing_timeout.ToSeconds() == 25
    assert list(rule.trunk_ids) == [trunk.sip_trunk_id]
    assert dict(rule.attributes) == {"switchboard.trunk": "platform"}
    assert [agent.agent_name for agent in rule.room_config.agents] == ["receptionist"]
    assert rule.rule.dispatch_rule_individual.room_prefix == "call"
    [again] = await rounds(tenant_svc)
    assert (again["ok"], again["created"], again["replaced"], again["deleted"]) == (True, 0, 0, 0)


async def test_a_customers_trunk_appears_with_its_credentials_and_its_own_rule(
    tenant_svc: TenantSvc, livekit: LiveKitAPI
) -> None:
    clinic = await tenant_svc.sign_up()
    body = contract.ConnectTrunk(
        name="our SBC",
        allowed_addresses=("192.0.2.10", "198.51.100.0/28"),
        numbers=(NUMBER,),
        auth_username="sbc",
        auth_password="a secret of the SBC",
    )
    added = await tenant_svc.ask(contract.CONNECT_TRUNK, body, clinic)
    key = added.trunk_id.hex

    async def there() -> bool:
        return f"switchboard:rule:{key}" in await rules(livekit)

    await until(there)
    trunk = (await trunks(livekit))[f"switchboard:trunk:{key}"]
    assert list(trunk.numbers) == [NUMBER]
    assert list(trunk.allowed_addresses) == ["192.0.2.10/32", "198.51.100.0/28"]
    assert (trunk.auth_username, trunk.auth_password) == ("sbc", "a secret of the SBC")
    rule = (await rules(livekit))[f"switchboard:rule:{key}"]
    assert list(rule.trunk_ids) == [trunk.sip_trunk_id]
    assert dict(rule.attributes) == {"switchboard.trunk": key}
    [again] = await rounds(tenant_svc)
    assert (again["ok"], again["trunks"], again["created"], again["replaced"]) == (True, 2, 0, 0)
    assert "secret" not in repr(again)
    [row] = await tenant_svc.rows("SELECT auth_password_sealed, t::text AS whole FROM tenancy.trunks AS t")
    assert b"a secret" not in row["auth_password_sealed"]
    assert "a secret" not in row["whole"]


async def test_an_emptied_redis_heals_by_itself(tenant_svc: TenantSvc, livekit: LiveKitAPI, emptied: Any) -> None:
    clinic = await tenant_svc.sign_up()
    body = contract.ConnectTrunk(name="sbc", allowed_addresses=("192.0.2.10",), numbers=(NUMBER,))
    await tenant_svc.ask(contract.CONNECT_TRUNK, body, clinic)

    async def whole() -> bool:
        return len(await trunks(livekit)) == 2 and len(await rules(livekit)) == 2

    await until(whole)
    before = await trunks(livekit)
    await emptied.flushall()
    assert await trunks(livekit) == {}
    await until(whole)
    after = await trunks(livekit)
    assert after.keys() == before.keys()
    for name, rule in (await rules(livekit)).items():
        trunk = after[name.replace(":rule:", ":trunk:")]
        assert list(rule.trunk_ids) == [trunk.sip_trunk_id]
        assert trunk.sip_trunk_id not in {held.sip_trunk_id for held in before.values()}


async def test_what_somebody_changed_is_set_right_and_what_is_not_ours_is_left(
    tenant_svc: TenantSvc, livekit: LiveKitAPI
) -> None:
    await rounds(tenant_svc)
    platform = (await trunks(livekit))["switchboard:trunk:platform"]
    # As an intruder, or a hand in a hurry, might leave it: open to everybody.
    opened = SIPInboundTrunkInfo()
    opened.CopyFrom(platform)
    del opened.allowed_addresses[:]
    opened.allowed_addresses.append("0.0.0.0/0")
    await livekit.sip.update_inbound_trunk(platform.sip_trunk_id, opened)
    for name, number in (("somebody's", "+34911000398"), ("switchboard:trunk:" + uuid.uuid4().hex, "+34911000399")):
        info = SIPInboundTrunkInfo(name=name, numbers=[number], allowed_addresses=["203.0.113.9/32"])
        await livekit.sip.create_inbound_trunk(CreateSIPInboundTrunkRequest(trunk=info))
    await rounds(tenant_svc)
    found = await trunks(livekit)
    assert set(found) == {"switchboard:trunk:platform", "somebody's"}
    assert list(found["switchboard:trunk:platform"].allowed_addresses) == ["127.0.0.1/32"]
    assert found["switchboard:trunk:platform"].sip_trunk_id == platform.sip_trunk_id
    [last] = (await tenant_svc.operate("GET", "/ops/reconcile")).json()["cells"]
    assert last["foreign"] == 1


async def test_rounds_at_the_same_time_write_everything_once(
    tenant_svc: TenantSvc, livekit: LiveKitAPI, emptied: Any
) -> None:
    for _ in range(3):
        await emptied.flushall()
        outcomes = await asyncio.gather(*(rounds(tenant_svc) for _ in range(4)))
        # Two at once would both create, and LiveKit would refuse the second's.
        assert all(cell["ok"] for cells in outcomes for cell in cells)
        found = await livekit.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())
        bound = await livekit.sip.list_dispatch_rule(ListSIPDispatchRuleRequest())
        assert (len(found.items), len(bound.items)) == (1, 1)
