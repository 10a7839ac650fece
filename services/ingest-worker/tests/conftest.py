"""The embedder, and both services of the knowledge path as processes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from emulators.server import Config, Emulators
from fleet.bus_fixtures import BusServer
from fleet.probes import http_ok
from fleet.process import ProcessSpec
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.contracts.base import Service
from switchboard.http import client
from switchboard.settings import BlobSettings
from switchboard.testing.database import MigratedDatabase
from switchboard.testing.embeddings import minilm, minilm_folder
from switchboard.testing.knowledge import Clinic, arguments, environment

__all__ = ["minilm", "minilm_folder"]


KEY = "key-of-the-emulated-provider"


@dataclass(frozen=True, slots=True)
class House:
    """Running services, and what a test needs to act as the gateway."""

    bus_server: BusServer
    gateway: Bus
    tenants: Bus
    blobs: Blobs
    addresses: dict[str, str]

    async def metrics(self, service: str) -> str:
        async with client(base_url=self.addresses[service]) as http:
            return (await http.get("/metrics")).text

    async def clinic(self) -> Clinic:
        return await Clinic.open(self.gateway, self.tenants, self.blobs)

    def log(self, service: str) -> str:
        return (self.bus_server.host.folder / "logs" / f"{service}.log").read_text()


@asynccontextmanager
async def running(
    bus_server: BusServer, migrated: MigratedDatabase, model: Path, folder: Path, more: dict[str, str]
) -> AsyncIterator[House]:
    """``more``: further variables of both services."""
    specs = []
    addresses = {}
    for service in (Service.RAG_SVC, Service.INGEST_WORKER):
        port = bus_server.host.ports.one()
        addresses[service.value] = f"http://127.0.0.1:{port}"
        specs.append(
            ProcessSpec(
                service.value,
                arguments(service.value.replace("-", "_")),
                env=environment(service, port, bus_server, migrated, folder, model) | more,
                ready=http_ok(f"http://127.0.0.1:{port}/health/ready"),
                ready_timeout=60,
            )
        )
    await bus_server.host.astart(*specs)
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenants = await bus_server.connect(Service.TENANT_SVC)
    yield House(bus_server, gateway, tenants, Blobs.open(BlobSettings(url=folder.as_uri())), addresses)
    for service in (Service.INGEST_WORKER, Service.RAG_SVC):
        assert await bus_server.host.astop(service.value) == 0


@pytest_asyncio.fixture
async def house(
    bus_server: BusServer, migrated: MigratedDatabase, minilm_folder: Path, tmp_path: Path
) -> AsyncIterator[House]:
    async with running(bus_server, migrated, minilm_folder, tmp_path / "blobs", {}) as made:
        yield made


@pytest_asyncio.fixture
async def emulators(minilm_folder: Path, tmp_path: Path) -> AsyncIterator[Emulators]:
    """Providers, of which these services use the embeddings only."""
    async with Emulators(Config(KEY, minilm_folder, tmp_path / "words")) as made:
        yield made


@pytest_asyncio.fixture
async def house_with_provider(
    bus_server: BusServer, migrated: MigratedDatabase, minilm_folder: Path, tmp_path: Path, emulators: Emulators
) -> AsyncIterator[House]:
    """The endpoint ``main`` is the emulators'; each search asks it, however the last one went."""
    endpoints = {"main": {"kind": "openai", "base_url": f"{emulators.url}/v1", "api_key": KEY}}
    more = {"SWITCHBOARD_PROVIDERS__ENDPOINTS": json.dumps(endpoints), "SWITCHBOARD_SEARCH__PROVIDER_REST_S": "0"}
    async with running(bus_server, migrated, minilm_folder, tmp_path / "blobs", more) as made:
        yield made
