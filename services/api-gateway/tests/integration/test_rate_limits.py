"""Limits on a real Redis: shared by gateways, exact under concurrency, local and strict when Redis is dead or hangs."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from api_gateway.access.cookies import SESSION
from api_gateway.limits.middleware import count_account
from api_gateway.settings import LimitSettings, QuotaSettings, Settings
from api_gateway.testing import Peers, RunningGateway, Tenant, problem, running_gateway
from fastapi import Request
from fleet.hosted import HostedSupervisor
from fleet.servers import RedisServer, make_redis
from pydantic import SecretStr
from redis.asyncio import Redis
from switchboard.contracts.base import Actor
from switchboard.contracts.identity import AUTHENTICATE_SESSION, CHANGE_PASSWORD, SIGN_IN, WANT_LINK
from switchboard.contracts.keys import AUTHENTICATE
from switchboard.contracts.tenants import LIST_TRUNKS, TrunkList
from switchboard.errors import RateLimited
from switchboard.http import HttpResponse
from switchboard.settings import RedisSettings

pytestmark = pytest.mark.integration

HOUR = 3600
PATIENT_MS = 5000
"""Where all are counted in Redis, a busy machine must not be taken for a slow Redis."""

Made = Callable[..., Settings]


def limited(settings: Settings, *, deadline_ms: int = PATIENT_MS, **quotas: int) -> Settings:
    """So many requests an hour; other limits are out of the way."""
    wide = dict.fromkeys(("address", "anonymous", "signup", "failures", "key", "tenant"), 100000)
    limits: dict[str, Any] = {
        name: QuotaSettings(quota=quota, window_s=HOUR) for name, quota in (wide | quotas).items()
    }
    prefix = settings.limits.prefix
    return settings.model_copy(update={"limits": LimitSettings(prefix=prefix, deadline_ms=deadline_ms, **limits)})


async def ask(gateway: RunningGateway, tenant: Tenant) -> HttpResponse:
    return await gateway.http.get("/v1/trunks", headers=tenant.headers)


async def burst(gateway: RunningGateway, tenant: Tenant, count: int) -> Counter[int]:
    """Statuses of so many requests, one after the other."""
    return Counter([(await ask(gateway, tenant)).status_code for _ in range(count)])


def policy_of(response: HttpResponse, name: str) -> int:
    """The quota that the answer states."""
    found = re.search(rf'"{name}";q=(\d+)', response.headers["ratelimit-policy"])
    assert found is not None
    return int(found[1])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def answering(peers: Peers) -> None:
    peers.answer(LIST_TRUNKS, TrunkList(trunks=()))


async def test_two_gateways_share_one_limit(gateway_settings: Settings, peers: Peers, tenant: Tenant) -> None:
    settings = limited(gateway_settings, key=20)
    async with running_gateway(settings) as one, running_gateway(settings) as other:
        statuses = [(await ask(gateway, tenant)).status_code for _ in range(15) for gateway in (one, other)]
        assert statuses == [200] * 20 + [429] * 10
        refused = await ask(other, tenant)
        found = problem(refused, 429)
        stranger = await peers.new_tenant()
        assert (await ask(one, stranger)).status_code == 200
    assert found["type"].endswith(":rate-limited")
    assert found["violated-policies"] == ["key"]
    assert found["errors"][0]["fix"].startswith("wait ")
    assert 0 < int(refused.headers["retry-after"]) <= HOUR / 20
    assert '"key";r=0;t=' in refused.headers["ratelimit"]


async def test_requests_at_once_never_exceed_the_limit(gateway_settings: Settings, tenant: Tenant) -> None:
    settings = limited(gateway_settings, key=20)
    async with running_gateway(settings) as one, running_gateway(settings) as other:
        answers = await asyncio.gather(*(ask(gateway, tenant) for _ in range(25) for gateway in (one, other)))
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 30}


async def test_a_tenants_keys_are_counted_together(gateway_settings: Settings, peers: Peers, tenant: Tenant) -> None:
    """From the first request of a key on, which is counted once it was accepted, and later at the door."""
    second = replace(tenant, api_key=peers.new_key(tenant.id))
    async with running_gateway(limited(gateway_settings, tenant=5)) as gateway:
        assert await burst(gateway, tenant, 4) == {200: 4}
        assert await burst(gateway, second, 3) == {200: 1, 429: 2}
        asked = len(peers.asked_for(AUTHENTICATE))
        assert problem(await ask(gateway, second), 429)["violated-policies"] == ["tenant"]
        assert len(peers.asked_for(AUTHENTICATE)) == asked, "a refused request went on to tenant-svc"


async def test_an_answer_says_what_is_left(gateway_settings: Settings, tenant: Tenant) -> None:
    async with running_gateway(limited(gateway_settings, address=100, key=10, tenant=50)) as gateway:
        for left in (9, 8):
            answer = await ask(gateway, tenant)
            limit, policy = answer.headers["ratelimit"], answer.headers["ratelimit-policy"]
            assert policy == '"address";q=100;w=3600, "key";q=10;w=3600, "tenant";q=50;w=3600'
            assert re.fullmatch(
                rf'"address";r={left + 90};t=\d+, "key";r={left};t=\d+, "tenant";r={left + 40};t=\d+', limit
            )


async def test_a_refused_request_counts_for_no_limit(gateway_settings: Settings, tenant: Tenant) -> None:
    async with running_gateway(limited(gateway_settings, address=100, key=2, tenant=50)) as gateway:
        assert await burst(gateway, tenant, 12) == {200: 2, 429: 10}
        refused = await ask(gateway, tenant)
        assert '"address";r=98;' in refused.headers["ratelimit"]
        assert '"tenant";r=48;' in refused.headers["ratelimit"]
        assert int(refused.headers["retry-after"]) <= HOUR / 2


async def test_signing_up_is_strict_by_address(gateway_settings: Settings, peers: Peers) -> None:
    form, ours = {"email": "office@sol.example"}, {"sec-fetch-site": "same-origin"}
    async with running_gateway(limited(gateway_settings, signup=3)) as gateway:
        statuses = [
            (await gateway.http.post("/v1/auth/sign-up", json=form, headers=ours)).status_code for _ in range(5)
        ]
    assert statuses == [404, 404, 404, 429, 429]  # the peer does not know the method: it was asked
    assert len(peers.asked_for(WANT_LINK)) == 3


async def test_what_brings_no_credential_is_counted_by_address(gateway_settings: Settings) -> None:
    async with running_gateway(limited(gateway_settings, anonymous=4)) as gateway:
        paths = ("/v1/openapi.json", "/v1/tenant", "/nowhere", "/v1/calls", "/v1/openapi.json", "/nowhere")
        statuses = [(await gateway.http.get(path)).status_code for path in paths]
        assert statuses == [200, 401, 404, 401, 429, 429]
        health = await gateway.http.get("/health/ready")
        assert health.status_code == 200


async def test_failed_attempts_shut_out_what_was_not_accepted_yet_and_nobody_else(
    gateway_settings: Settings, peers: Peers, tenant: Tenant
) -> None:
    async with running_gateway(limited(gateway_settings, failures=3)) as gateway:
        assert (await ask(gateway, tenant)).status_code == 200
        guesses = [replace(tenant, api_key=f"{tenant.api_key[:35]}_{secrets.token_urlsafe(24)}") for _ in range(5)]
        statuses = [(await ask(gateway, guess)).status_code for guess in guesses]
        assert statuses == [401, 401, 401, 429, 429]
        assert (await ask(gateway, tenant)).status_code == 200, "an accepted key is behind the same address"
        assert (await ask(gateway, await peers.new_tenant())).status_code == 429


async def test_a_key_that_is_not_accepted_any_more_is_not_counted_for_its_tenant(
    gateway_settings: Settings, peers: Peers, tenant: Tenant
) -> None:
    second = replace(tenant, api_key=peers.new_key(tenant.id))
    async with running_gateway(limited(gateway_settings, tenant=4)) as gateway:
        assert (await ask(gateway, second)).status_code == 200
        peers.revoke(second.api_key)
        assert await burst(gateway, second, 6) == {401: 6}
        # The first attempt was counted at the door, before anybody could know.
        assert await burst(gateway, tenant, 3) == {200: 2, 429: 1}


@pytest.mark.parametrize("path", ["sign-up", "sign-in", "link", "reset"])
async def test_whatever_signs_somebody_in_is_counted_by_account(
    gateway_settings: Settings, peers: Peers, path: str
) -> None:
    form = {"email": "office@sol.example"} | ({"password": "x"} if path == "sign-in" else {})
    async with running_gateway(limited(gateway_settings, account=2, login=100)) as gateway:
        asked = (
            gateway.http.post(f"/v1/auth/{path}", json=form, headers={"sec-fetch-site": "same-origin"})
            for _ in range(3)
        )
        answers = [await answer for answer in asked]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert problem(answers[2], 429)["violated-policies"] == ["account"]
    assert len(peers.asked_for(SIGN_IN if path == "sign-in" else WANT_LINK)) == 2


async def test_an_open_session_tries_few_passwords(gateway_settings: Settings, peers: Peers) -> None:
    peers.answer(AUTHENTICATE_SESSION, Actor(kind="user", id=uuid4().hex, session_id=uuid4()))
    headers = {"cookie": f"{SESSION}={'5e' * 32}", "sec-fetch-site": "same-origin"}
    form = {"current": "a guess", "password": "of no consequence"}
    async with running_gateway(limited(gateway_settings, account=2, login=100)) as gateway:
        answers = [await gateway.http.put("/v1/me/password", json=form, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert len(peers.asked_for(CHANGE_PASSWORD)) == 2


async def test_logins_are_counted_by_account_and_by_address(gateway_settings: Settings) -> None:
    async with running_gateway(limited(gateway_settings, account=2, login=5)) as gateway:

        async def login(mail: str, address: str = "192.0.2.1") -> str:
            scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/v1/login", "headers": []}
            scope["client"] = (address, 1)
            scope["state"] = {"rate_limits": await gateway.resources.limits.enter(scope)}
            try:
                await count_account(Request(scope), mail)
            except RateLimited as error:
                return error.violated_policies[0]
            return "counted"

        assert [await login("ana@sol.example") for _ in range(3)] == ["counted", "counted", "account"]
        assert await login(" ANA@sol.example ", "198.51.100.1") == "account"
        assert [await login(f"{n}@sol.example") for n in range(4)] == ["counted"] * 3 + ["login"]


async def test_redis_holds_no_address_key_or_mail_and_forgets(
    gateway_settings: Settings, redis_server: RedisServer, tenant: Tenant
) -> None:
    settings = limited(gateway_settings, address=50, anonymous=50, key=50, tenant=50)
    async with running_gateway(settings) as gateway:
        await ask(gateway, tenant)
        await ask(gateway, tenant)
        await gateway.http.get("/v1/openapi.json")
    redis = Redis.from_url(redis_server.url)
    keys = [key.decode() async for key in redis.scan_iter(match=f"{settings.limits.prefix}:*")]
    assert {key.split(":")[2] for key in keys} == {"address", "key", "tenant", "anonymous"}
    for key in keys:
        assert re.fullmatch(rf"{settings.limits.prefix}:[a-z]+:[0-9a-f]{{32}}", key)
        assert 0 < await redis.pttl(key) <= HOUR * 1000
    await redis.aclose()


async def test_a_state_from_the_future_locks_nobody_out(
    gateway_settings: Settings, redis_server: RedisServer, tenant: Tenant
) -> None:
    """Redis' clock was set back, or a quota was lowered."""
    settings = limited(gateway_settings, key=10)
    redis = Redis.from_url(redis_server.url)
    async with running_gateway(settings) as gateway:
        await ask(gateway, tenant)
        [key] = [key async for key in redis.scan_iter(match=f"{settings.limits.prefix}:key:*")]
        await redis.set(key, str(2**52))
        refused = await ask(gateway, tenant)
        assert int(refused.headers["retry-after"]) <= HOUR / 10
    await redis.aclose()


# Without Redis


@dataclass
class OwnRedis:
    """A Redis that a test may kill or stop."""

    host: HostedSupervisor
    server: RedisServer

    async def kill(self) -> None:
        await self.host.akill(self.server.spec.name)

    async def revive(self) -> None:
        await self.host.arevive(self.server.spec.name)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It keeps its connections and answers nobody."""
        pid = self.host.supervisor.pid_of(self.server.spec.name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest_asyncio.fixture
async def own_redis(own_servers: HostedSupervisor) -> OwnRedis:
    server = make_redis(own_servers.folder / "redis-app", own_servers.ports.one(), secrets.token_urlsafe(18))
    await own_servers.astart(server.spec)
    return OwnRedis(own_servers, server)


@pytest_asyncio.fixture
async def lonely(gateway_settings: Settings, own_redis: OwnRedis, peers: Peers) -> AsyncIterator[RunningGateway]:
    """60 requests an hour with Redis, 6 without."""
    settings = limited(gateway_settings, deadline_ms=50, key=60)
    own = {"redis": RedisSettings(url=SecretStr(own_redis.server.url))}
    async with running_gateway(settings.model_copy(update=own)) as gateway:
        yield gateway


async def is_shared(gateway: RunningGateway, tenant: Tenant) -> bool:
    answer = await ask(gateway, tenant)
    assert answer.status_code in (200, 429)
    return policy_of(answer, "key") == 60


def metric(gateway: RunningGateway, name: str, **labels: str) -> float:
    return gateway.service.metrics.registry.get_sample_value(name, labels) or 0.0


async def strictly_alone(gateway: RunningGateway, peers: Peers) -> None:
    """A new tenant's requests: the local quota, then 429; none fails."""
    tenant = await peers.new_tenant()
    assert await burst(gateway, tenant, 12) == {200: 6, 429: 6}
    refused = await ask(gateway, tenant)
    assert policy_of(refused, "key") == 6
    assert problem(refused, 429)["violated-policies"] == ["key"]
    assert metric(gateway, "switchboard_ratelimit_shared") == 0.0
    assert metric(gateway, "switchboard_ratelimit_decisions_total", counted="local", outcome="key") >= 6
    health = await gateway.http.get("/health/ready")
    assert (health.status_code, health.json()["degraded"]) == (200, ["redis-app"])


async def test_without_redis_limits_are_local_and_strict_and_shared_again_afterwards(
    lonely: RunningGateway, own_redis: OwnRedis, peers: Peers, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    await until(lambda: is_shared_by_now(lonely, peers))
    await own_redis.kill()
    await strictly_alone(lonely, peers)
    await own_redis.revive()
    await until(lambda: is_shared_by_now(lonely, peers))
    assert metric(lonely, "switchboard_ratelimit_shared") == 1.0
    tenant = await peers.new_tenant()
    assert (await burst(lonely, tenant, 70))[429] >= 4, "the shared limit is not in force"
    # Where lines go depends on who has set logging up in this process: to one of the two, or each to both.
    places = (caplog.text, "".join(capfd.readouterr()))
    for said in ("rate limits are local and strict", "rate limits are shared again"):
        assert max(place.count(said) for place in places) == 1


async def test_a_redis_that_hangs_keeps_nobody_waiting(
    lonely: RunningGateway, own_redis: OwnRedis, peers: Peers
) -> None:
    await until(lambda: is_shared_by_now(lonely, peers))
    before = metric(lonely, "switchboard_ratelimit_redis_failures_total")
    with own_redis.stopped():
        async with asyncio.timeout(15):  # a request that waited for Redis would wait for ever
            await strictly_alone(lonely, peers)
            more = await peers.new_tenant()
            began = metric(lonely, "switchboard_ratelimit_redis_failures_total")
            clock = asyncio.get_running_loop().time
            since = clock()
            await burst(lonely, more, 40)
            tries = metric(lonely, "switchboard_ratelimit_redis_failures_total") - began
            assert tries <= clock() - since + 1, "more than one request a second waited"
    assert metric(lonely, "switchboard_ratelimit_redis_failures_total") > before
    await until(lambda: is_shared_by_now(lonely, peers))


async def test_a_gateway_starts_without_redis(gateway_settings: Settings, own_redis: OwnRedis, peers: Peers) -> None:
    await own_redis.kill()
    settings = limited(gateway_settings, deadline_ms=50, key=60)
    own = {"redis": RedisSettings(url=SecretStr(own_redis.server.url))}
    async with running_gateway(settings.model_copy(update=own)) as gateway:
        await strictly_alone(gateway, peers)
        await own_redis.revive()
        await until(lambda: is_shared_by_now(gateway, peers))


async def test_webhooks_are_never_counted(lonely: RunningGateway, own_redis: OwnRedis) -> None:
    """What calls live on is not looked up anywhere: only the signature decides."""
    with own_redis.stopped():
        answers = [await lonely.http.post("/webhooks/livekit", content=b"{}") for _ in range(30)]
    assert {answer.status_code for answer in answers} == {401}
    assert metric(lonely, "switchboard_ratelimit_redis_failures_total") == 0.0
    assert "ratelimit" not in answers[0].headers


async def is_shared_by_now(gateway: RunningGateway, peers: Peers) -> bool:
    """Asked with a key of its own, so that nobody's quota is spent."""
    return await is_shared(gateway, await peers.new_tenant())
