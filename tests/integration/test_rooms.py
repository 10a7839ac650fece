"""LiveKit's rooms: a hostile name is no other room, and a caller's token opens the one room that it is for."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from call_orchestrator.adapters.livekit import LiveKitMedia
from fleet.prove import Tried
from fleet.servers import LiveKitServer
from livekit import api
from pydantic import SecretStr
from sip_node.dispatch import Dispatch, DispatchResult
from sip_node.room import Credentials, join_token
from switchboard.http import HttpClient, HttpResponse, client
from switchboard.settings import LiveKitSettings
from switchboard.testing.hostile import HOSTILE_IDS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

AGENT = "receptionist"


@pytest_asyncio.fixture
async def rooms(livekit_server: LiveKitServer) -> AsyncIterator[tuple[str, str]]:
    """Two, of two callers."""
    names = (f"call-{secrets.token_hex(6)}", f"call-{secrets.token_hex(6)}")
    async with api.LiveKitAPI(livekit_server.url, livekit_server.api_key, livekit_server.api_secret) as admin:
        for name in names:
            await admin.room.create_room(api.CreateRoomRequest(name=name, empty_timeout=120))
        yield names
        for name in names:
            await admin.room.delete_room(api.DeleteRoomRequest(room=name))


async def test_a_hostile_name_is_no_other_room(
    livekit_server: LiveKitServer, rooms: tuple[str, str], record_property: Tried
) -> None:
    """What we look up, dispatch to and delete is the room of exactly that name."""
    keys = LiveKitSettings(
        url=livekit_server.url, api_key=livekit_server.api_key, api_secret=SecretStr(livekit_server.api_secret)
    )
    hostile = [*HOSTILE_IDS, rooms[0][:-1], f"{rooms[0]} ", rooms[0].upper(), f"{rooms[0]}*", f"{rooms[0]},{rooms[1]}"]
    async with LiveKitMedia.open(keys, AGENT) as media:
        for name in hostile:
            assert await media.participants(name) is None, name
            await media.delete_room(name)
        assert set(rooms) <= {room.name for room in await media.rooms()}
        assert await media.participants(rooms[0]) == []
    record_property("hostile names of rooms", len(hostile))


# -- a caller's token -------------------------------------------------------------------------------------------------


def requests(room: str) -> dict[str, dict[str, Any]]:
    """What LiveKit's server does for whoever may, about that room and all of it."""
    return {
        "RoomService/CreateRoom": {"name": f"{room}-more"},
        "RoomService/ListRooms": {},
        "RoomService/DeleteRoom": {"room": room},
        "RoomService/ListParticipants": {"room": room},
        "RoomService/GetParticipant": {"room": room, "identity": "x"},
        "RoomService/RemoveParticipant": {"room": room, "identity": "x"},
        "RoomService/UpdateParticipant": {"room": room, "identity": "x", "metadata": "x"},
        "RoomService/UpdateRoomMetadata": {"room": room, "metadata": "x"},
        "RoomService/SendData": {"room": room, "data": "eA==", "kind": "RELIABLE"},
        "AgentDispatchService/CreateDispatch": {"room": room, "agent_name": AGENT},
        "AgentDispatchService/ListDispatch": {"room": room},
        "SIP/ListSIPInboundTrunk": {},
        "SIP/ListSIPDispatchRule": {},
        "SIP/DeleteSIPTrunk": {"sip_trunk_id": "ST_x"},
        "SIP/CreateSIPParticipant": {"room_name": room, "sip_trunk_id": "ST_x", "sip_call_to": "+15550100123"},
        "SIP/TransferSIPParticipant": {
            "room_name": room,
            "participant_identity": "x",
            "transfer_to": "tel:+15550100123",
        },
        "Egress/ListEgress": {},
        "Egress/StartRoomCompositeEgress": {"room_name": room},
    }


async def asked(http: HttpClient, method: str, form: dict[str, Any], token: str) -> HttpResponse:
    return await http.post(f"/twirp/livekit.{method}", json=form, headers={"authorization": f"Bearer {token}"})


async def joins(http: HttpClient, token: str) -> int:
    """What LiveKit says to who would join with that token."""
    return (await http.get("/rtc/validate", params={"access_token": token})).status_code


def altered(token: str, room: str) -> str:
    """The same signature, for another room."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["video"]["room"] = room
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{signature}"


async def test_a_token_for_one_room_is_for_that_room(
    livekit_server: LiveKitServer, rooms: tuple[str, str], record_property: Tried
) -> None:
    """As callers have it, from what speaks SIP beside LiveKit."""
    ours, theirs = rooms
    credentials = Credentials(livekit_server.url, livekit_server.api_key, livekit_server.api_secret)
    token = join_token(
        credentials, Dispatch(DispatchResult.ACCEPT, room_name=ours, identity="sip_caller", name="caller"), {}
    )
    forged = join_token(
        Credentials(livekit_server.url, livekit_server.api_key, "x" * 40),
        Dispatch(DispatchResult.ACCEPT, room_name=theirs, identity="sip_caller", name="caller"),
        {},
    )
    let: list[str] = []
    tried = 0
    async with client(base_url=livekit_server.http_url) as http:
        assert await joins(http, token) == 200
        for wrong in (altered(token, theirs), forged, token.rpartition(".")[0] + "."):
            assert await joins(http, wrong) == 401
        for room in (ours, theirs):
            for method, form in requests(room).items():
                response = await asked(http, method, form, token)
                tried += 1
                if response.status_code not in (401, 403):
                    let.append(f"{method} {room}: {response.status_code} {response.text[:100]}")
    assert let == []
    record_property("requests with a caller's token", tried + 3)
