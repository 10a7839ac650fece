"""The service as it runs, on a database and a bus of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fleet.bus_fixtures import BusServer
from pydantic import SecretStr
from switchboard.bus import Bus
from switchboard.bus.topology import AUDIT_HEADS
from switchboard.clock import SystemClock
from switchboard.console import ConsoleSettings
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Service as Name
from switchboard.contracts.snapshot import AgentConfiguration
from switchboard.db import Database
from switchboard.service import Service, serve
from switchboard.settings import BlobSettings, HttpSettings, LiveKitSettings, ProviderKinds
from switchboard.testing.database import MigratedDatabase
from tenant_svc.audit.anchors import Anchors
from tenant_svc.audit.verification import Verification
from tenant_svc.main import compose
from tenant_svc.settings import OperatorsSettings, PlatformSettings, ProjectionSettings, Settings
from tenant_svc.testing import CONSOLE, OPERATORS_TOKEN, Clinic, TenantSvc, anchored, mail_settings, until

NOBODY_THERE = LiveKitSettings(url="ws://127.0.0.1:9", api_key="key", api_secret=SecretStr("s" * 32))


@pytest.fixture
def settings(bus_server: BusServer, migrated: MigratedDatabase, smtp_port: int, tmp_path: Path) -> Settings:
    """Without a LiveKit: the service must live without one. No sweep fills a bucket that a test has emptied."""
    values: dict[str, Any] = {
        "http": HttpSettings(port=0),
        "database": migrated.settings("tenant_svc", max_pool=8),
        "nats": bus_server.settings(Name.TENANT_SVC.value),
        "sealing": bus_server.sealing,
        "livekit": NOBODY_THERE,
        "blobs": BlobSettings(url=f"file://{tmp_path}/blobs"),
        "platform": PlatformSettings(carrier_addresses=("127.0.0.1/32",)),
        "providers": ProviderKinds(kinds={"openai-main": "openai", "ear": "deepgram"}),
        "projection": ProjectionSettings(sweep_s=3600),
        "console": ConsoleSettings(url=CONSOLE),
        "mail": mail_settings(smtp_port),
        "operators": OperatorsSettings(token=SecretStr(OPERATORS_TOKEN)),
    }
    return Settings(**values)


@pytest_asyncio.fixture
async def gateway(bus_server: BusServer) -> Bus:
    return await bus_server.connect(Name.API_GATEWAY)


@pytest_asyncio.fixture
async def reader(bus_server: BusServer) -> Bus:
    """Somebody who may read both buckets."""
    return await bus_server.connect(Name.CALL_ORCHESTRATOR)


@pytest_asyncio.fixture
async def own_bus(bus_server: BusServer) -> Bus:
    """A connection that may write the buckets."""
    return await bus_server.connect(Name.TENANT_SVC)


@pytest_asyncio.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    """As the service's own role."""
    async with Database.open(settings.database, name="test") as opened:
        yield opened


@pytest_asyncio.fixture
async def tenant_svc(
    settings: Settings, gateway: Bus, reader: Bus, migrated: MigratedDatabase
) -> AsyncIterator[TenantSvc]:
    service = Service("tenant-svc", settings)
    running = asyncio.create_task(serve(service, compose))
    await until(lambda: service.port is not None or running.done())
    assert service.port is not None, service.failure
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}") as http:
        yield TenantSvc(service, gateway, reader, http, migrated)
    service.stop()
    assert await running == 0, service.failure


@pytest.fixture
def anchors(db: Database, own_bus: Bus) -> Anchors:
    return Anchors(db, own_bus.bucket(AUDIT_HEADS))


@pytest.fixture
def verification(db: Database, own_bus: Bus, anchors: Anchors) -> Verification:
    return Verification(db, anchors, own_bus.keyring, SystemClock())


@pytest_asyncio.fixture
async def clinic(tenant_svc: TenantSvc, anchors: Anchors) -> Clinic:
    """With six lines in its audit, all anchored."""
    made = await tenant_svc.ready_clinic("+34911000301")
    for greeting in ("One", "Two", "Three"):
        await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(greeting=greeting), made)
    await until(lambda: anchored(anchors, made, 6))
    return made
