"""Webhooks as the real LiveKit server sends and signs them."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from api_gateway.settings import Settings
from api_gateway.testing import Peers, running_gateway
from fleet.hosted import HostedSupervisor
from fleet.servers import make_livekit, make_redis
from livekit.api import CreateRoomRequest, DeleteRoomRequest, LiveKitAPI
from switchboard.bus import Delivery
from switchboard.contracts.base import Service as Name
from switchboard.contracts.calls import MediaHint

pytestmark = pytest.mark.integration


async def test_a_rooms_life(gateway_settings: Settings, peers: Peers, own_servers: HostedSupervisor) -> None:
    hints: asyncio.Queue[MediaHint] = asyncio.Queue()

    async def take(hint: MediaHint, delivery: Delivery) -> None:
        await hints.put(hint)

    peers.buses[Name.CALL_ORCHESTRATOR].consume({MediaHint: take})
    keys = (gateway_settings.livekit.api_key, gateway_settings.livekit.api_secret.get_secret_value())
    async with running_gateway(gateway_settings) as gateway, asyncio.timeout(30):
        ports = own_servers.ports
        # Its own Redis: servers that share one are nodes of one cluster, and the room could land on the other.
        redis = make_redis(own_servers.folder / "redis", ports.one(), secrets.token_urlsafe(18), name="own-redis")
        livekit = make_livekit(
            own_servers.folder / "livekit",
            (ports.one(), ports.one(), ports.one()),
            keys,
            redis,
            webhooks=[f"{gateway.base_url}/webhooks/livekit"],
        )
        await own_servers.astart(redis.spec, livekit.spec)
        async with LiveKitAPI(livekit.http_url, *keys) as api:
            room = await api.room.create_room(CreateRoomRequest(name="call-_+34600000000_x"))
            started = await hints.get()
            await api.room.delete_room(DeleteRoomRequest(room=room.name))
            finished = await hints.get()

    assert (started.event, finished.event) == ("room_started", "room_finished")
    assert started.room_sid == finished.room_sid == room.sid
    assert started.room_name == room.name
    assert started.event_id != finished.event_id
