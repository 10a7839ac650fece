"""The watch and its client on a real LiveKit server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from call_orchestrator.adapters.livekit import LiveKitMedia
from call_orchestrator.settings import CallsSettings
from call_orchestrator.testing import NUMBER, rig
from fleet.bus_fixtures import BusServer
from fleet.servers import LiveKitServer
from livekit import api, rtc
from pydantic import SecretStr
from switchboard.contracts.calls import CallState, EndReason
from switchboard.errors import Unavailable
from switchboard.settings import LiveKitSettings
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

AGENT = "receptionist"


def keys(server: LiveKitServer) -> LiveKitSettings:
    return LiveKitSettings(url=server.url, api_key=server.api_key, api_secret=SecretStr(server.api_secret))


@pytest_asyncio.fixture
async def media(livekit_server: LiveKitServer) -> AsyncIterator[LiveKitMedia]:
    async with LiveKitMedia.open(keys(livekit_server), AGENT) as made:
        yield made


@asynccontextmanager
async def leg(server: LiveKitServer, room_name: str) -> AsyncIterator[rtc.Room]:
    """A participant that LiveKit takes for a SIP leg, with the attributes that LiveKit SIP and our rule set."""
    attributes = {
        "sip.callID": "SCL_1",
        "sip.trunkPhoneNumber": NUMBER,
        "sip.phoneNumber": "+15550009999",
        "switchboard.trunk": "platform",
    }
    token = (
        api.AccessToken(server.api_key, server.api_secret)
        .with_identity("sip_caller")
        .with_kind("sip")
        .with_attributes(attributes)
        .with_grants(api.VideoGrants(room_join=True, room=room_name))
        .with_ttl(timedelta(minutes=5))
        .to_jwt()
    )
    room = rtc.Room()
    await room.connect(server.url, token)
    try:
        yield room
    finally:
        await room.disconnect()


async def until(wanted: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await wanted():
            await asyncio.sleep(0.1)


async def test_rooms_legs_and_dispatches_are_seen_as_they_are(
    livekit_server: LiveKitServer, media: LiveKitMedia
) -> None:
    name = f"call-{secrets.token_hex(6)}"
    async with leg(livekit_server, name):
        room = next(room for room in await media.rooms() if room.name == name)
        assert room.sid.startswith("RM_")
        found = await media.participants(name)
        assert found is not None
        assert [(one.kind, one.attributes["sip.trunkPhoneNumber"]) for one in found] == [("sip", NUMBER)]
        await media.dispatch(name)
        async with api.LiveKitAPI(livekit_server.url, livekit_server.api_key, livekit_server.api_secret) as client:
            assert AGENT in [one.agent_name for one in await client.agent_dispatch.list_dispatch(name)]
        await media.delete_room(name)
    assert name not in [room.name for room in await media.rooms()]


async def test_a_room_that_is_gone_is_no_error(media: LiveKitMedia) -> None:
    gone = f"gone-{secrets.token_hex(6)}"
    assert await media.participants(gone) is None
    await media.delete_room(gone)


async def test_a_server_that_does_not_answer_is_unavailable() -> None:
    settings = LiveKitSettings(url="http://127.0.0.1:9", api_key="key", api_secret=SecretStr("s" * 32))
    async with LiveKitMedia.open(settings, AGENT) as media:
        with pytest.raises(Unavailable):
            await media.rooms()


async def test_wrong_keys_are_not_tried_again(livekit_server: LiveKitServer) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with api.LiveKitAPI(livekit_server.url, livekit_server.api_key, "x" * 32) as client:
        with pytest.raises(Unavailable, match="refused"):
            await LiveKitMedia(client, AGENT, pause).rooms()
    assert pauses == []


async def test_a_call_that_no_agent_takes_is_offered_again_and_then_cut_off(
    livekit_server: LiveKitServer,
    media: LiveKitMedia,
    bus_server: BusServer,
    migrated: MigratedDatabase,
    tmp_path: Path,
) -> None:
    """No worker is registered: LiveKit forgets each dispatch, the watch repeats it, and takes the room away."""
    name = f"call-{secrets.token_hex(6)}"
    quick = CallsSettings(join_within_s=0.5, dispatch_attempts=2, database_patience_s=1.5)
    database = migrated.settings("call_orchestrator")
    async with (
        rig(bus_server, database, tmp_path, media=media, settings=quick) as running,
        leg(livekit_server, name) as room,
    ):
        tenant_id = await running.tenant()
        gone = asyncio.Event()
        room.on("disconnected", lambda _: gone.set())
        watching = asyncio.create_task(running.parts.watch.run(timedelta(seconds=0.5), running.parts.housekeeping))
        try:
            async with asyncio.timeout(30):
                await gone.wait()

            async def ended() -> bool:
                async with running.db.tenant(tenant_id) as conn:
                    return bool(await conn.fetchval("SELECT count(*) FROM calls.calls WHERE state = 'ended'"))

            await until(ended)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        async with running.db.tenant(tenant_id) as conn:
            call_id = await conn.fetchval("SELECT id FROM calls.calls")
        async with running.db.platform() as conn:
            attempts = await conn.fetchval("SELECT count(*) FROM calls.dispatches")
        record = await running.record(tenant_id, call_id)
        assert (record.summary.state, record.summary.end_reason) == (CallState.ENDED, EndReason.NO_AGENT)
        assert (record.summary.dialled, attempts) == (NUMBER, 2)
    assert name not in [one.name for one in await media.rooms()]
