"""The gateway and the services behind it in one event loop, on real servers: for tests of what they are together."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import call_orchestrator.main
import call_orchestrator.settings
import rag_svc.main
import rag_svc.settings
import tenant_svc.main
import tenant_svc.settings
from api_gateway.settings import LimitSettings, QuotaSettings
from api_gateway.settings import Settings as GatewaySettings
from api_gateway.testing import RunningGateway, running_gateway
from pydantic import SecretStr
from switchboard.console import ConsoleSettings
from switchboard.contracts.base import Service as Name
from switchboard.embeddings import EmbeddingSettings
from switchboard.service import ASGIApp, Service, serve
from switchboard.settings import BlobSettings, HttpSettings, LiveKitSettings, RedisSettings
from switchboard.testing.database import MigratedDatabase
from tenant_svc.testing import CONSOLE, mail_settings

from fleet.bus_fixtures import BusServer
from fleet.models import EMBEDDINGS
from fleet.servers import RedisServer


@dataclass(frozen=True)
class Together:
    """What is there; `gateway` is the only public face."""

    gateway: RunningGateway
    database: MigratedDatabase
    bus: BusServer


@asynccontextmanager
async def together(
    bus: BusServer, database: MigratedDatabase, redis: RedisServer, smtp_port: int, folder: Path
) -> AsyncIterator[Together]:
    """tenant-svc, rag-svc and call-orchestrator as their `main` composes them, and a gateway. There is no LiveKit."""
    shared = _Settings(bus, database, folder)
    services: tuple[tuple[Name, Any, Callable[[Any], Awaitable[ASGIApp | None]]], ...] = (
        (Name.TENANT_SVC, shared.tenants(smtp_port), tenant_svc.main.compose),
        (Name.RAG_SVC, shared.knowledge(), rag_svc.main.compose),
        (Name.CALL_ORCHESTRATOR, shared.calls(), call_orchestrator.main.compose),
    )
    async with AsyncExitStack() as stack:
        for name, settings, compose in services:
            await stack.enter_async_context(_running(name, settings, compose))
        gateway = await stack.enter_async_context(running_gateway(shared.gateway(redis)))
        yield Together(gateway, database, bus)


class _Settings:
    def __init__(self, bus: BusServer, database: MigratedDatabase, folder: Path) -> None:
        self._bus = bus
        self._database = database
        self._livekit = LiveKitSettings(
            url="ws://127.0.0.1:9", api_key="key", api_secret=SecretStr(secrets.token_hex(32))
        )
        self._blobs = BlobSettings(url=(folder / "blobs").as_uri())
        self._token = SecretStr(secrets.token_hex(24))

    def _common(self, name: Name, *, database: bool = True) -> dict[str, Any]:
        values: dict[str, Any] = {
            "http": HttpSettings(port=0),
            "nats": self._bus.settings(name.value),
            "sealing": self._bus.sealing,
            "blobs": self._blobs,
        }
        role = name.value.replace("-", "_")
        return values | ({"database": self._database.settings(role, max_pool=6)} if database else {})

    def tenants(self, smtp_port: int) -> tenant_svc.settings.Settings:
        return tenant_svc.settings.Settings(
            **self._common(Name.TENANT_SVC),
            livekit=self._livekit,
            platform=tenant_svc.settings.PlatformSettings(carrier_addresses=("127.0.0.1/32",)),
            operators=tenant_svc.settings.OperatorsSettings(token=self._token),
            console=ConsoleSettings(url=CONSOLE),
            mail=mail_settings(smtp_port),
        )

    def knowledge(self) -> rag_svc.settings.Settings:
        return rag_svc.settings.Settings(
            **self._common(Name.RAG_SVC),
            embeddings=EmbeddingSettings(model_dir=EMBEDDINGS.folder()),
            operators=rag_svc.settings.OperatorSettings(token=self._token),
        )

    def calls(self) -> call_orchestrator.settings.Settings:
        return call_orchestrator.settings.Settings(
            **self._common(Name.CALL_ORCHESTRATOR),
            livekit=self._livekit,
            operators=call_orchestrator.settings.OperatorsSettings(token=self._token),
        )

    def gateway(self, redis: RedisServer) -> GatewaySettings:
        return GatewaySettings(
            **self._common(Name.API_GATEWAY, database=False),
            livekit=self._livekit,
            console=ConsoleSettings(url=CONSOLE),
            redis=RedisSettings(url=SecretStr(redis.url)),
            limits=_unlimited(),
        )


def _unlimited() -> LimitSettings:
    """Whoever asks here asks often, and has one address."""
    wide = QuotaSettings(quota=1_000_000, window_s=60)
    quotas = [name for name, field in LimitSettings.model_fields.items() if field.annotation is QuotaSettings]
    return LimitSettings.model_validate({**dict.fromkeys(quotas, wide), "prefix": f"test:{secrets.token_hex(8)}"})


@asynccontextmanager
async def _running(
    name: Name, settings: Any, compose: Callable[[Any], Awaitable[ASGIApp | None]]
) -> AsyncIterator[None]:
    service: Service[Any] = Service(name.value, settings)
    running = asyncio.create_task(serve(service, compose), name=name.value)
    try:
        async with asyncio.timeout(60):
            while service.port is None:
                assert not running.done(), service.failure
                await asyncio.sleep(0.01)
        yield
    finally:
        service.stop()
        await running
