"""The embedder, and both services of the knowledge path as processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from fleet.bus_fixtures import BusServer
from fleet.probes import http_ok
from fleet.process import ProcessSpec
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.contracts.base import Service
from switchboard.settings import BlobSettings
from switchboard.testing.database import MigratedDatabase
from switchboard.testing.embeddings import minilm, minilm_folder
from switchboard.testing.knowledge import Clinic, arguments, environment

__all__ = ["minilm", "minilm_folder"]


@dataclass(frozen=True, slots=True)
class House:
    """Running services, and what a test needs to act as the gateway."""

    bus_server: BusServer
    gateway: Bus
    tenants: Bus
    blobs: Blobs
    folder: Path

    async def clinic(self) -> Clinic:
        return await Clinic.open(self.gateway, self.tenants, self.blobs)

    def log(self, service: str) -> str:
        return (self.bus_server.host.folder / "logs" / f"{service}.log").read_text()


@pytest_asyncio.fixture
async def house(
    bus_server: BusServer, migrated: MigratedDatabase, minilm_folder: Path, tmp_path: Path
) -> AsyncIterator[House]:
    folder = tmp_path / "blobs"
    specs = []
    for service in (Service.RAG_SVC, Service.INGEST_WORKER):
        port = bus_server.host.ports.one()
        specs.append(
            ProcessSpec(
                service.value,
                arguments(service.value.replace("-", "_")),
                env=environment(service, port, bus_server, migrated, folder, minilm_folder),
                ready=http_ok(f"http://127.0.0.1:{port}/health/ready"),
                ready_timeout=60,
            )
        )
    await bus_server.host.astart(*specs)
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenants = await bus_server.connect(Service.TENANT_SVC)
    yield House(bus_server, gateway, tenants, Blobs.open(BlobSettings(url=folder.as_uri())), folder)
    for service in (Service.INGEST_WORKER, Service.RAG_SVC):
        assert await bus_server.host.astop(service.value) == 0
