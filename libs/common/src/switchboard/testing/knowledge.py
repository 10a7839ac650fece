"""rag-svc and ingest-worker as real processes, and a stand-in for the gateway that uploads and asks.

For tests of both services: neither may import the other, so they meet here as processes only. ``fleet``'s fixtures give the
servers; what they are is not known here.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from switchboard.blobs import Blobs, key
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS
from switchboard.contracts.base import Actor, Service
from switchboard.contracts.documents import (
    GET_DOCUMENT,
    REGISTER,
    SEARCH,
    DocumentStatus,
    DocumentView,
    GetDocument,
    RegisterDocument,
    Search,
    SearchReply,
)
from switchboard.contracts.providers import ProviderChains, ProviderChoice
from switchboard.contracts.snapshot import AgentConfiguration, TenantSnapshot, TenantStatus
from switchboard.contracts.tenants import ConfigurationPublished
from switchboard.sealed import Sealed
from switchboard.settings import NatsSettings, SealingSettings
from switchboard.snapshot import SnapshotWriter
from switchboard.testing.database import MigratedDatabase

OPERATORS_TOKEN = "operators-token-of-the-tests"  # noqa: S105 - only these processes know it
ENDS = (DocumentStatus.INDEXED, DocumentStatus.FAILED)


class BusServer(Protocol):
    """What is needed of fleet's fixture of that name."""

    sealing: SealingSettings

    def settings(self, user: str) -> NatsSettings: ...


def arguments(package: str) -> tuple[str, ...]:
    return (sys.executable, "-m", package)


def environment(
    service: Service, port: int, bus: BusServer, database: MigratedDatabase, blobs: Path, model: Path
) -> dict[str, str]:
    """Everything that ``service`` (rag-svc or ingest-worker) reads."""
    nats = bus.settings(service.value)
    return {
        "SWITCHBOARD_HTTP__PORT": str(port),
        "SWITCHBOARD_NATS__URL": nats.url,
        "SWITCHBOARD_NATS__USER": nats.user,
        "SWITCHBOARD_NATS__PASSWORD": nats.password.get_secret_value(),
        "SWITCHBOARD_SEALING__MASTER_KEY": bus.sealing.master_key.get_secret_value(),
        "SWITCHBOARD_BLOBS__URL": blobs.as_uri(),
        "SWITCHBOARD_EMBEDDINGS__MODEL_DIR": str(model),
        "SWITCHBOARD_DATABASE__DSN": database.dsn("rag_svc"),
        "SWITCHBOARD_OPERATORS__TOKEN": OPERATORS_TOKEN,
    }


@dataclass(frozen=True, slots=True)
class Clinic:
    """One tenant, as the gateway acts for it."""

    tenant_id: UUID
    bus: Bus
    tenants: Bus
    blobs: Blobs

    @classmethod
    async def open(cls, gateway: Bus, tenants: Bus, blobs: Blobs) -> Clinic:
        """A new tenant with its data key; ``tenants`` is tenant-svc's connection."""
        tenant_id = gateway.ids.new()
        await tenants.keyring.publish(tenant_id, tenants.keyring.create(tenant_id))
        return cls(tenant_id, gateway, tenants, blobs)

    def actor(self, *roles: str) -> Actor:
        return Actor(kind="user", id=uuid.uuid4().hex, tenant_id=self.tenant_id, roles=roles or ("owner",))

    async def upload(self, name: str, media_type: Any, data: bytes) -> UUID:
        """Seal, store, register: what the gateway does with an upload."""
        document_id = self.bus.ids.new()
        where = key(self.tenant_id, "documents", document_id)
        cipher = await self.bus.keyring.cipher(self.tenant_id)
        await self.blobs.put(where, cipher.seal(data, "blob"))
        body = RegisterDocument(
            document_id=document_id,
            name=Sealed(name),
            media_type=media_type,
            blob_key=str(where),
            sha256=hashlib.sha256(data).hexdigest(),
            size=max(1, len(data)),
        )
        await self.bus.request(REGISTER, body, tenant_id=self.tenant_id, actor=self.actor())
        return document_id

    async def document(self, document_id: UUID) -> DocumentView:
        body = GetDocument(document_id=document_id)
        return await self.bus.request(GET_DOCUMENT, body, tenant_id=self.tenant_id, actor=self.actor())

    async def ended(self, document_id: UUID, seconds: float = 60.0) -> DocumentView:
        """The document once it is indexed or has failed; asks again and again, as the console does."""
        async with asyncio.timeout(seconds):
            while True:
                view = await self.document(document_id)
                if view.status in ENDS:
                    return view
                await asyncio.sleep(0.1)

    async def publish(self, version: int, embeddings: ProviderChoice | None) -> None:
        """What tenant-svc does when the clinic publishes: the snapshot, and the fact that tells of it."""
        now = datetime.now(UTC)
        snapshot = TenantSnapshot(
            tenant_id=self.tenant_id,
            version=version,
            published_at=now,
            status=TenantStatus.LIVE,
            name="Clinica",
            time_zone="UTC",
            agent=AgentConfiguration(providers=ProviderChains(embeddings=embeddings)),
        )
        await SnapshotWriter(self.tenants.bucket(SNAPSHOTS), self.blobs).publish(snapshot)
        await self.tenants.publish_fact(ConfigurationPublished(tenant_id=self.tenant_id, at=now, version=version))

    async def embedded(self, document_id: UUID, by: str, seconds: float = 60.0) -> DocumentView:
        """The document once it is indexed with vectors of the endpoint ``by``."""
        async with asyncio.timeout(seconds):
            while True:
                view = await self.document(document_id)
                if view.status is DocumentStatus.INDEXED and view.embeddings == by:
                    return view
                await asyncio.sleep(0.1)

    async def search(self, *queries: str, limit: int = 5) -> SearchReply:
        body = Search(queries=tuple(Sealed(query) for query in queries), limit=limit)
        return await self.bus.request(SEARCH, body, tenant_id=self.tenant_id, actor=self.actor(), timeout=10.0)

    async def headings_and_texts(self, query: str, limit: int = 3) -> Sequence[tuple[str, str]]:
        reply = await self.search(query, limit=limit)
        return [(str(passage.heading), str(passage.text)) for passage in reply.passages]
