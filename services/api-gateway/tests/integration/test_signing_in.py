"""Signing in as a browser does it: cookies, other sites, what goes further than the gateway."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from http.cookies import SimpleCookie
from uuid import UUID, uuid4

import pytest
from api_gateway.access.cookies import BROWSER, SESSION
from api_gateway.testing import Peers, RunningGateway, Tenant, problem
from switchboard.clock import SystemClock
from switchboard.contracts import identity, tenants
from switchboard.contracts.base import Actor, Empty
from switchboard.errors import NotAuthenticated
from switchboard.http import HttpResponse
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration

SAME = {"sec-fetch-site": "same-origin"}
TOKEN = "5e" * 32
LINK = f"{uuid4().hex}.{'1f' * 32}"
CREDENTIALS = {"email": "office@sol.example", "password": "correct horse battery staple"}


def session(second_factor: bool = False) -> identity.SignedIn:
    ends = SystemClock().now() + timedelta(hours=1)
    return identity.SignedIn(token=Sealed(TOKEN), second_factor=second_factor, expires_at=ends)


def cookies(response: HttpResponse) -> dict[str, str]:
    """Name -> the whole header."""
    headers = response.headers.get_list("set-cookie")
    return {name: header for header in headers for name in SimpleCookie(header)}


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def with_session(tenant_id: UUID | None, *roles: str) -> Actor:
    return Actor(kind="user", id=uuid4().hex, tenant_id=tenant_id, roles=roles, session_id=uuid4())


@pytest.fixture
def signed_in(peers: Peers, tenant: Tenant) -> Actor:
    """Whoever shows the cookie."""
    actor = with_session(tenant.id, "owner")

    async def authenticate(body: identity.AuthenticateSession, _call: object) -> Actor:
        if body.token_sha256 != digest(TOKEN):
            raise NotAuthenticated
        return actor

    peers.answer(identity.AUTHENTICATE_SESSION, authenticate)
    return actor


async def test_a_session_is_in_a_cookie_that_no_script_and_no_other_host_reads(
    gateway: RunningGateway, peers: Peers
) -> None:
    peers.answer(identity.SIGN_IN, session())
    response = await gateway.http.post("/v1/auth/sign-in", json=CREDENTIALS, headers=SAME)
    assert response.status_code == 200
    assert TOKEN not in response.text
    cookie = cookies(response)[SESSION]
    for part in (f"__Host-session={TOKEN}", "Path=/", "Secure", "HttpOnly", "SameSite=strict", "Max-Age=3599"):
        assert part in cookie, part
    assert "Domain" not in cookie
    assert response.headers["clear-site-data"] == '"cache"'
    assert response.headers["cache-control"] == "no-store"
    asked = peers.asked_for(identity.SIGN_IN)[0]
    assert (asked.call.tenant_id, asked.call.actor.kind) == (None, "anonymous")


async def test_the_token_stays_in_the_gateway(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, signed_in: Actor
) -> None:
    peers.answer(tenants.LIST_TRUNKS, tenants.TrunkList(trunks=()))
    response = await gateway.http.get("/v1/trunks", headers={"cookie": f"{SESSION}={TOKEN}"})
    assert response.status_code == 200
    authenticated, asked = peers.asked
    assert TOKEN not in authenticated.body.model_dump_json()
    assert authenticated.body.token_sha256 == digest(TOKEN)
    assert (asked.call.tenant_id, asked.call.actor.id) == (tenant.id, signed_in.id)
    assert asked.call.actor.origin is not None


@pytest.mark.parametrize("value", ["", "x", TOKEN[:-1], TOKEN.upper(), TOKEN + "0", "00" * 32])
async def test_what_is_no_session_lets_nobody_in(gateway: RunningGateway, signed_in: Actor, value: str) -> None:
    problem(await gateway.http.get("/v1/trunks", headers={"cookie": f"{SESSION}={value}"}), 401)


async def test_a_wrong_key_is_not_made_good_by_a_session(gateway: RunningGateway, signed_in: Actor) -> None:
    headers = {"cookie": f"{SESSION}={TOKEN}", "authorization": "Bearer nonsense"}
    problem(await gateway.http.get("/v1/trunks", headers=headers), 401)


async def test_a_session_that_is_in_no_tenant(gateway: RunningGateway, peers: Peers) -> None:
    peers.answer(identity.AUTHENTICATE_SESSION, with_session(None))
    me = identity.Me(
        user_id=uuid4(),
        email=Sealed("a@b.example"),
        has_password=True,
        second_factor=False,
        recovery_codes_left=0,
        tenant_id=None,
        tenants=(),
    )
    peers.answer(identity.ME, me)
    headers = {"cookie": f"{SESSION}={TOKEN}"}
    found = problem(await gateway.http.get("/v1/tenant", headers=headers), 403)
    assert "/v1/me/tenant" in found["detail"]
    assert (await gateway.http.get("/v1/me", headers=headers)).json()["email"] == "a@b.example"
    assert peers.asked_for(tenants.GET_TENANT) == []


# -- other sites ------------------------------------------------------------------------------------------------------

FOREIGN: tuple[dict[str, str], ...] = (
    {},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", "origin": "https://console.clinic.example"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://console.clinic.example"},
    {"origin": "https://console.clinic.example.evil.example"},
    {"origin": "https://console.clinic.example:8443"},
    {"referer": "https://console.clinic.example/"},
)


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_site_can_not_use_somebodys_session(
    gateway: RunningGateway, peers: Peers, signed_in: Actor, headers: dict[str, str]
) -> None:
    """Nor sign somebody in as somebody else."""
    cookie = {"cookie": f"{SESSION}={TOKEN}", **headers}
    for method, path in (("POST", "/v1/pause"), ("PUT", "/v1/agent"), ("DELETE", f"/v1/keys/{uuid4()}")):
        problem(await gateway.http.request(method, path, json={}, headers=cookie), 403)
    problem(await gateway.http.post("/v1/auth/sign-in", json=CREDENTIALS, headers=headers), 403)
    problem(await gateway.http.post("/v1/auth/link", json={"email": "a@b.example"}, headers=headers), 403)
    assert peers.asked == []


@pytest.mark.parametrize("headers", [SAME, {"origin": "https://console.clinic.example"}])
async def test_our_own_pages_can(
    gateway: RunningGateway, peers: Peers, signed_in: Actor, headers: dict[str, str]
) -> None:
    peers.answer(identity.END_SESSION, Empty())
    response = await gateway.http.delete("/v1/me/session", headers={"cookie": f"{SESSION}={TOKEN}", **headers})
    assert response.status_code == 204
    assert peers.asked_for(identity.END_SESSION)[0].body.session_id == signed_in.session_id
    assert "Max-Age=0" in cookies(response)[SESSION]


async def test_two_headers_that_disagree_are_refused(gateway: RunningGateway, signed_in: Actor) -> None:
    twice = [("cookie", f"{SESSION}={TOKEN}"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]
    problem(await gateway.http.post("/v1/pause", headers=twice), 403)


async def test_a_program_with_a_key_is_no_browser(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    peers.answer(tenants.LIST_TRUNKS, tenants.TrunkList(trunks=()))
    headers = {**tenant.headers, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await gateway.http.get("/v1/trunks", headers=headers)).status_code == 200


# -- links ------------------------------------------------------------------------------------------------------------


async def test_a_link_is_bound_to_the_browser_that_asks(gateway: RunningGateway, peers: Peers) -> None:
    """By a cookie of which only a hash goes further; a browser keeps its own."""
    peers.answer(identity.WANT_LINK, Empty())
    peers.answer(identity.REDEEM_LINK, session())
    asked = await gateway.http.post("/v1/auth/link", json={"email": "a@b.example"}, headers=SAME)
    assert asked.status_code == 202
    cookie = cookies(asked)[BROWSER]
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    secret = SimpleCookie(cookie)[BROWSER].value
    assert len(bytes.fromhex(secret)) == 32
    mine = {**SAME, "cookie": f"{BROWSER}={secret}"}
    again = await gateway.http.post("/v1/auth/reset", json={"email": "a@b.example"}, headers=mine)
    assert SimpleCookie(cookies(again)[BROWSER])[BROWSER].value == secret
    assert {one.body.browser_sha256 for one in peers.asked_for(identity.WANT_LINK)} == {digest(secret)}

    done = await gateway.http.post("/v1/auth/redeem", json={"token": LINK}, headers=mine)
    assert done.status_code == 200
    body = peers.asked_for(identity.REDEEM_LINK)[0].body
    assert (body.secret_sha256, body.browser_sha256) == (digest("1f" * 32), digest(secret))
    assert body.link_id.hex == LINK.partition(".")[0]


@pytest.mark.parametrize("token", [LINK, LINK[:-1], "x", LINK.upper(), LINK + "0", LINK.replace(".", "")])
async def test_without_the_cookie_or_with_another_token_nothing_is_asked(
    gateway: RunningGateway, peers: Peers, token: str
) -> None:
    headers = SAME if token == LINK else {**SAME, "cookie": f"{BROWSER}={TOKEN}"}
    problem(await gateway.http.post("/v1/auth/redeem", json={"token": token}, headers=headers), 401)
    assert peers.asked == []


async def test_the_second_factor_gets_a_new_cookie(gateway: RunningGateway, peers: Peers) -> None:
    peers.answer(identity.SIGN_IN, session(second_factor=True))
    peers.answer(identity.SECOND_FACTOR, session())
    half = await gateway.http.post("/v1/auth/sign-in", json=CREDENTIALS, headers=SAME)
    assert half.json()["second_factor"] is True
    held = {**SAME, "cookie": f"{SESSION}={'ab' * 32}"}
    full = await gateway.http.post("/v1/auth/second-factor", json={"code": "123456"}, headers=held)
    assert full.json()["second_factor"] is False
    assert SESSION in cookies(full)
    assert peers.asked_for(identity.SECOND_FACTOR)[0].body.token_sha256 == digest("ab" * 32)
    problem(await gateway.http.post("/v1/auth/second-factor", json={"code": "123456"}, headers=SAME), 401)


async def test_going_to_another_tenant_gets_a_new_cookie_and_leaves_no_cache(
    gateway: RunningGateway, peers: Peers, signed_in: Actor
) -> None:
    peers.answer(identity.CHOOSE_TENANT, session())
    headers = {**SAME, "cookie": f"{SESSION}={TOKEN}"}
    response = await gateway.http.post("/v1/me/tenant", json={"tenant_id": str(uuid4())}, headers=headers)
    assert response.status_code == 200
    assert SESSION in cookies(response)
    assert response.headers["clear-site-data"] == '"cache"'
    asked = peers.asked_for(identity.CHOOSE_TENANT)[0]
    assert (asked.call.tenant_id, asked.call.actor.session_id) == (None, signed_in.session_id)
