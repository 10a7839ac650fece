"""Webhooks as the real LiveKit server sends and signs them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from api_gateway.settings import Settings
from api_gateway.testing import Peers, running_gateway
from fleet.hosted import HostedSupervisor
from fleet.servers import RedisServer, make_livekit
from livekit.api import CreateRoomRequest, DeleteRoomRequest, LiveKitAPI
from switchboard.bus import Delivery
from switchboard.contracts.base import Service as Name
from switchboard.contracts.calls import MediaHint

pytestmark = pytest.mark.integration


async def test_a_rooms_life(
    gateway_settings: Settings, peers: Peers, own_servers: HostedSupervisor, livekit_redis: RedisServer
) -> None:
    hints: asyncio.Queue[MediaHint] = asyncio.Queue()

    async def take(hint: MediaHint, delivery: Delivery) -> None:
        await hints.put(hint)

    peers.buses[Name.CALL_ORCHESTRATOR].consume({MediaHint: take})
    keys = (gateway_settings.livekit.api_key, gateway_settings.livekit.api_secret.get_secret_value())
    async with running_gateway(gateway_settings) as gateway, asyncio.timeout(30):
        ports = own_servers.ports
        livekit = make_livekit(
            own_servers.folder / "livekit",
            (ports.one(), ports.one(), ports.one()),
            keys,
            livekit_redis,
            webhooks=[f"{gateway.base_url}/webhooks/livekit"],
        )
        # The session's shared Redis runs under another supervisor.
        await own_servers.astart(replace(livekit.spec, after=()))
        async with LiveKitAPI(livekit.http_url, *keys) as api:
            room = await api.room.create_room(CreateRoomRequest(name="call-_+34600000000_x"))
            started = await hints.get()
            await api.room.delete_room(DeleteRoomRequest(room=room.name))
            finished = await hints.get()

    assert (started.event, finished.event) == ("room_started", "room_finished")
    assert started.room_sid == finished.room_sid == room.sid
    assert started.room_name == room.name
    assert started.event_id != finished.event_id
