"""Fixtures: a running gateway on a real bus, with peers in the other services' place."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from api_gateway.resources import Pace
from api_gateway.settings import LimitSettings, Settings
from api_gateway.testing import Peers, RunningGateway, Tenant, running_gateway
from fleet.bus_fixtures import BusServer
from fleet.servers import RedisServer
from pydantic import SecretStr
from switchboard.console import ConsoleSettings
from switchboard.contracts.base import Service as Name
from switchboard.settings import BlobSettings, HttpSettings, LiveKitSettings, RedisSettings


@pytest.fixture
def blob_folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def gateway_settings(bus_server: BusServer, redis_server: RedisServer, blob_folder: Path) -> Settings:
    return Settings(
        http=HttpSettings(port=0),
        nats=bus_server.settings(Name.API_GATEWAY.value),
        sealing=bus_server.sealing,
        livekit=LiveKitSettings(
            url="ws://127.0.0.1:7880", api_key="lk-key", api_secret=SecretStr(secrets.token_hex(32))
        ),
        blobs=BlobSettings(url=blob_folder.as_uri()),
        redis=RedisSettings(url=SecretStr(redis_server.url)),
        # Everybody is 127.0.0.1 here: each test counts by itself.
        limits=LimitSettings(prefix=f"test:{secrets.token_hex(8)}"),
        console=ConsoleSettings(url="https://console.clinic.example"),
    )


@pytest_asyncio.fixture
async def peers(bus_server: BusServer) -> Peers:
    return await Peers.start(bus_server.connect)


@pytest_asyncio.fixture
async def tenant(peers: Peers) -> Tenant:
    return await peers.new_tenant()


@pytest_asyncio.fixture
async def gateway(gateway_settings: Settings, peers: Peers) -> AsyncIterator[RunningGateway]:
    """Its event streams show a sign of life every 50 ms."""
    async with running_gateway(gateway_settings, Pace(keep_alive_s=0.05, upload_s=5.0)) as running:
        yield running
