"""LiveKit's webhooks on the real bus: only verified ones become facts, and each only once."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import json
from typing import Any

import jwt
import pytest
import pytest_asyncio
from api_gateway.settings import Settings
from api_gateway.testing import Peers, RunningGateway, Tenant
from cryptography.hazmat.primitives.asymmetric import rsa
from fleet.bus_fixtures import BusServer
from fleet.prove import Tried
from livekit.api import AccessToken
from switchboard.bus import Delivery
from switchboard.contracts.base import Service as Name
from switchboard.contracts.calls import MediaHint
from switchboard.http import HttpResponse
from switchboard.testing.hostile import HOSTILE_IDS

pytestmark = pytest.mark.integration

CREATED = 1_772_442_000
Hints = asyncio.Queue[tuple[MediaHint, Delivery]]


def event(name: str = "participant_joined", identifier: str = "EV_abc", **extra: Any) -> bytes:
    body: dict[str, Any] = {
        "event": name,
        "id": identifier,
        "createdAt": str(CREATED),
        "room": {"sid": "RM_x1", "name": "call-_+34600000000_abc"},
        "participant": {
            "sid": "PA_1",
            "identity": "sip_+34600000000",
            "kind": "SIP",
            "attributes": {"sip.callID": "SCL_1", "sip.phoneNumber": "+34600000000"},
        },
        **extra,
    }
    return json.dumps(body).encode()


def body_hash(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def signed(settings: Settings, body: bytes) -> str:
    """As livekit-server signs."""
    livekit = settings.livekit
    return AccessToken(livekit.api_key, livekit.api_secret.get_secret_value()).with_sha256(body_hash(body)).to_jwt()


async def post(gateway: RunningGateway, body: bytes, token: str | None) -> HttpResponse:
    headers = {"content-type": "application/webhook+json"}
    if token is not None:
        headers["authorization"] = token
    return await gateway.http.post("/webhooks/livekit", content=body, headers=headers)


@pytest_asyncio.fixture
async def hints(peers: Peers) -> Hints:
    found: Hints = asyncio.Queue()

    async def take(hint: MediaHint, delivery: Delivery) -> None:
        await found.put((hint, delivery))

    peers.buses[Name.CALL_ORCHESTRATOR].consume({MediaHint: take})
    return found


async def test_an_event_becomes_a_hint_once(gateway: RunningGateway, gateway_settings: Settings, hints: Hints) -> None:
    body = event()
    first = await post(gateway, body, signed(gateway_settings, body))
    again = await post(gateway, body, signed(gateway_settings, body))
    last = event("room_finished", "EV_last")
    await post(gateway, last, signed(gateway_settings, last))

    assert (first.status_code, again.status_code) == (200, 200)
    async with asyncio.timeout(10):
        hint, _ = await hints.get()
        following, _ = await hints.get()
    assert hint.event == "participant_joined"
    assert (hint.room_sid, hint.sip_call_id, hint.participant_kind) == ("RM_x1", "SCL_1", "sip")
    assert hint.room_name == "call-_+34600000000_abc"
    assert hint.at == dt.datetime.fromtimestamp(CREATED, dt.UTC)
    assert hint.tenant_id is None
    assert following.event_id == "EV_last", "the repeated event was dropped"


async def test_events_we_do_not_use_are_taken_and_dropped(
    gateway: RunningGateway, gateway_settings: Settings, hints: Hints
) -> None:
    for body in (event("track_unpublished", "EV_1"), event("egress_started", "EV_2"), event("new_one", "EV_3"),
                 event(identifier="EV_4", room={"sid": "", "name": ""}), event(identifier="E" * 65)):  # fmt: skip
        assert (await post(gateway, body, signed(gateway_settings, body))).status_code == 200
    used = event("room_started", "EV_5")
    await post(gateway, used, signed(gateway_settings, used))
    async with asyncio.timeout(10):
        assert (await hints.get())[0].event_id == "EV_5"


def _claims(settings: Settings, body: bytes, **changes: Any) -> dict[str, Any]:
    now = int(dt.datetime.now(dt.UTC).timestamp())
    claims = {"iss": settings.livekit.api_key, "nbf": now, "exp": now + 300, "sha256": body_hash(body), **changes}
    return {key: value for key, value in claims.items() if value is not None}


def forgeries(settings: Settings, body: bytes) -> dict[str, str | None]:
    secret = settings.livekit.api_secret.get_secret_value()
    now = int(dt.datetime.now(dt.UTC).timestamp())

    def token(key: str = secret, algorithm: str = "HS256", **changes: Any) -> str:
        return jwt.encode(_claims(settings, body, **changes), key, algorithm=algorithm)

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    claims = base64.urlsafe_b64encode(json.dumps(_claims(settings, body)).encode()).rstrip(b"=").decode()
    return {
        "none": None,
        "empty": "",
        "no token": "nonsense",
        "wrong secret": token(key="0" * 64),
        "wrong issuer": token(iss="another-key"),
        "no issuer": token(iss=None),
        "expired": token(exp=now - 3600),
        "no expiry": token(exp=None),
        "not valid yet": token(nbf=now + 3600),
        "of the future": token(iat=now + 3600),
        "for another audience": token(aud="another"),
        "of another body": token(sha256=body_hash(b"{}")),
        "no body hash": token(sha256=None),
        "malformed body hash": token(sha256="!"),
        "hash of the body in hex": token(sha256=hashlib.sha256(body).hexdigest()),
        "unsigned": f"{header}.{claims}.",
        "HS384": token(algorithm="HS384"),
        "HS512": token(algorithm="HS512"),
        "RS256": jwt.encode(_claims(settings, body), private, algorithm="RS256"),
        "its signature cut off": token().rpartition(".")[0] + ".",
        "another's token twice": f"{token(key='0' * 64)}.{token()}",
    }


async def test_forgeries_are_refused(
    gateway: RunningGateway, gateway_settings: Settings, record_property: Tried
) -> None:
    body = event()
    forged = forgeries(gateway_settings, body)
    for name, token in forged.items():
        response = await post(gateway, body, token)
        assert response.status_code == 401, name
        assert response.headers["content-type"] == "application/problem+json"
    assert (await post(gateway, body, signed(gateway_settings, body))).status_code == 200
    record_property("forged webhooks", len(forged))


async def test_a_hostile_event_becomes_one_hint_on_its_one_subject(
    gateway: RunningGateway, gateway_settings: Settings, hints: Hints, record_property: Tried
) -> None:
    """Whatever a caller has LiveKit say of a room travels as data. Ids that differ stay different."""
    fitting = [text for text in HOSTILE_IDS if len(text) <= 64]
    for text in HOSTILE_IDS:
        who = {"sid": text, "identity": text, "kind": "SIP", "attributes": {"sip.callID": text, text: text}}
        body = event(identifier=text, room={"sid": text, "name": text}, participant=who)
        assert (await post(gateway, body, signed(gateway_settings, body))).status_code == 200, text
    async with asyncio.timeout(30):
        came = [await hints.get() for _ in fitting]
    assert {hint.event_id for hint, _ in came} == set(fitting)
    assert {delivery.subject for _, delivery in came} == {"tenants._.calls._.media"}
    assert all(hint.room_sid == hint.sip_call_id == str(hint.room_name) == hint.event_id for hint, _ in came)
    assert hints.empty()
    record_property("hostile events", len(HOSTILE_IDS))


async def test_the_raw_bytes_are_what_is_verified(gateway: RunningGateway, gateway_settings: Settings) -> None:
    """The same JSON written otherwise is another body; bytes that are no UTF-8 are no event."""
    body = event()
    token = signed(gateway_settings, body)
    assert (await post(gateway, json.dumps(json.loads(body), indent=1).encode(), token)).status_code == 401
    assert (await post(gateway, body + b"\n", token)).status_code == 401
    raw = b'{"event": "\xff"}'
    assert (await post(gateway, raw, signed(gateway_settings, raw))).status_code == 401


async def test_a_signed_body_that_is_no_event(gateway: RunningGateway, gateway_settings: Settings) -> None:
    for body in (b"nonsense", b'{"room": 5}', b""):
        assert (await post(gateway, body, signed(gateway_settings, body))).status_code == 422


async def test_when_the_bus_does_not_take_it_livekit_shall_try_again(
    gateway: RunningGateway, gateway_settings: Settings, peers: Peers, tenant: Tenant, bus_server: BusServer
) -> None:
    body = event()
    for bus in peers.buses.values():
        await bus.drain()
    await bus_server.host.akill(bus_server.server.spec.name)

    response = await post(gateway, body, signed(gateway_settings, body))
    others = [await gateway.http.get(path, headers=tenant.headers) for path in ("/v1/tenant", "/v1/live/events")]

    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert [other.status_code for other in others] == [503, 503]
    await bus_server.host.arevive(bus_server.server.spec.name)
