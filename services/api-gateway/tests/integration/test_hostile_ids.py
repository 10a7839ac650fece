"""Hostile text where ids, names and addresses are expected: it becomes no part of a subject, a key or a command."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from api_gateway.access.cookies import SESSION
from api_gateway.app import bare_app
from api_gateway.settings import LimitSettings, QuotaSettings, Settings
from api_gateway.testing import Peers, RunningGateway, Tenant, running_gateway
from fleet.prove import Tried
from fleet.servers import RedisServer
from redis.asyncio import Redis
from switchboard.contracts.base import Empty
from switchboard.contracts.identity import SIGN_IN, WANT_LINK
from switchboard.errors import NotAuthenticated
from switchboard.testing.hostile import HOSTILE_IDS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

OURS = {"sec-fetch-site": "same-origin"}
WIDE = QuotaSettings(quota=1_000_000, window_s=60)
# A request stays in Redis for a window's part of its quota: minutes.
KEPT = QuotaSettings(quota=400, window_s=86_400)


@asynccontextmanager
async def unlimited(settings: Settings, quota: QuotaSettings = WIDE) -> AsyncIterator[RunningGateway]:
    """Whoever attacks here asks more often than anybody may."""
    quotas = [name for name, field in LimitSettings.model_fields.items() if field.annotation is QuotaSettings]
    limits = settings.limits.model_copy(update=dict.fromkeys(quotas, quota))
    async with running_gateway(settings.model_copy(update={"limits": limits})) as gateway:
        yield gateway


def with_an_id() -> Iterator[tuple[str, str]]:
    """Method and path of every operation with an id in it, which is ``{}``."""
    for path, methods in bare_app().openapi()["paths"].items():
        if "{" in path:
            for method in methods:
                yield method.upper(), re.sub(r"{\w+}", "{}", path)
    yield "GET", "/v1/live/events?call_id={}"


async def test_a_hostile_id_in_a_path_is_refused_before_anybody_is_asked(
    gateway_settings: Settings, peers: Peers, tenant: Tenant, record_property: Tried
) -> None:
    """Also before it is known who asks: authenticating is a request on the bus."""
    tried = 0
    async with unlimited(gateway_settings) as gateway:
        for method, path in with_an_id():
            for text in HOSTILE_IDS:
                # Dots too: a client resolves them otherwise.
                sent = path.format(quote(text, safe="").replace(".", "%2E"))
                response = await gateway.http.request(method, sent, headers={**tenant.headers, **OURS})
                tried += 1
                told = f"{method} {sent[:100]}: {response.status_code} {response.text[:200]}"
                # A slash, also an encoded one, ends the part of the path: then there is no such address.
                assert response.status_code == 400 or (response.status_code in (404, 405) and "/" in text), told
                assert len(text) <= 8 or text not in response.text, told
                assert "x-injected" not in response.headers, told
    assert peers.asked == []
    record_property("hostile ids in paths", tried)


async def test_no_hostile_text_becomes_part_of_a_key_in_redis(
    gateway_settings: Settings, peers: Peers, redis_server: RedisServer, record_property: Tried
) -> None:
    """Of addresses of accounts, credentials, and the client's own word for where it comes from."""
    peers.answer(WANT_LINK, Empty())
    peers.answer(SIGN_IN, NotAuthenticated())
    redis = Redis.from_url(redis_server.url)
    async with unlimited(gateway_settings, KEPT) as gateway:
        before = {key async for key in redis.scan_iter(match="*")}
        for text in HOSTILE_IDS:
            form = {"email": f"{text}@clinic.example", "password": text}
            legal = "".join(letter for letter in text if " " < letter <= "~") or "x"
            headers = {**OURS, "x-forwarded-for": legal, "x-real-ip": legal, "cookie": f"{SESSION}={legal}"}
            await gateway.http.post("/v1/auth/sign-in", json=form, headers=headers)
            await gateway.http.get("/v1/tenant", headers={"authorization": f"Bearer {legal}"})
            await gateway.http.get("/v1/tenant", headers=headers)
        made = {key.decode() async for key in redis.scan_iter(match="*") if key not in before}
    await redis.aclose()
    assert len(made) > len(HOSTILE_IDS)
    shape = re.compile(rf"{gateway_settings.limits.prefix}:[a-z]+:[0-9a-f]{{32}}")
    assert [key for key in made if not shape.fullmatch(key)] == []
    record_property("hostile texts for redis", 3 * len(HOSTILE_IDS))
