"""Headers of every answer, and whose word is taken for where a request comes from."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from api_gateway.settings import EdgeSettings, LimitSettings, ProxySettings, QuotaSettings, Settings
from api_gateway.testing import Peers, RunningGateway, Tenant, running_gateway
from switchboard.contracts.tenants import GET_TENANT, LIST_TRUNKS, TrunkList

pytestmark = pytest.mark.integration

SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
HSTS = "strict-transport-security"


def with_(settings: Settings, **groups: Any) -> Settings:
    return settings.model_copy(update=groups)


async def test_every_answer_is_secured_and_names_no_server(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    peers.answer(LIST_TRUNKS, TrunkList(trunks=()))
    get, key = gateway.http.get, tenant.headers
    answers = {
        200: await get("/v1/trunks", headers=key),
        401: await get("/v1/trunks"),
        404: await get("/nothing"),
        405: await gateway.http.delete("/v1/trunks", headers=key),
        413: await gateway.http.put("/v1/agent", content=b" " * 200_000, headers=key),
        422: await gateway.http.put("/v1/agent", content=b"{", headers=key),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert {name: answer.headers.get(name) for name in SECURE} == SECURE, status
        assert answer.headers[HSTS] == "max-age=31536000; includeSubDomains"
        assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(answer.headers)
        assert len(answer.headers.get_list("x-content-type-options")) == 1


async def test_plain_http_does_not_promise_https(gateway_settings: Settings, peers: Peers) -> None:
    async with running_gateway(with_(gateway_settings, edge=EdgeSettings(https=False))) as gateway:
        answer = await gateway.http.get("/v1/openapi.json")
    assert HSTS not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_endless_body_in_chunks_is_cut_off_before_it_is_parsed(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.service.port)
    lines = (
        "PUT /v1/agent HTTP/1.1",
        "host: x",
        f"authorization: Bearer {tenant.api_key}",
        "transfer-encoding: chunked",
    )
    writer.write("\r\n".join((*lines, "", "")).encode())
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for _ in range(4):
        writer.write(chunk)
        await writer.drain()
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 413 " in status
    assert peers.asked == []
    writer.close()


def limited(settings: Settings, **groups: Any) -> Settings:
    quotas = {"anonymous": QuotaSettings(quota=2, window_s=3600)}
    limits = LimitSettings(prefix=settings.limits.prefix, deadline_ms=5000, **quotas)
    return with_(settings, limits=limits, **groups)


async def statuses(gateway: RunningGateway, *forwarded: str) -> list[int]:
    answers = [await gateway.http.get("/v1/nothing", headers={"x-forwarded-for": value}) for value in forwarded]
    return [answer.status_code for answer in answers]


async def test_nobody_gets_a_new_limit_by_writing_a_header(gateway_settings: Settings, peers: Peers) -> None:
    async with running_gateway(limited(gateway_settings)) as gateway:
        assert await statuses(gateway, "6.6.6.1", "6.6.6.2", "6.6.6.3") == [404, 404, 429]


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(gateway_settings: Settings, peers: Peers) -> None:
    proxies = ProxySettings(trusted=("127.0.0.0/8",))
    async with running_gateway(limited(gateway_settings, proxies=proxies)) as gateway:
        spoofing = [f"6.6.6.{n}, 198.51.100.1" for n in range(3)]
        assert await statuses(gateway, *spoofing) == [404, 404, 429]
        assert await statuses(gateway, "198.51.100.2") == [404]


async def test_the_audit_is_told_the_clients_address(gateway_settings: Settings, peers: Peers, tenant: Tenant) -> None:
    headers = {**tenant.headers, "x-forwarded-for": "6.6.6.6, 198.51.100.1"}
    for proxies, address in ((ProxySettings(), "127.0.0.1"), (ProxySettings(trusted=("127.0.0.0/8",)), "198.51.100.1")):
        async with running_gateway(with_(gateway_settings, proxies=proxies)) as gateway:
            await gateway.http.get("/v1/tenant", headers=headers)
        origin = peers.asked_for(GET_TENANT)[-1].call.actor.origin
        assert origin is not None
        assert origin.ip == address
