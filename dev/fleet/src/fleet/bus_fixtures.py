"""pytest plugin: a nats-server of the test's own, with each service's own user and permissions and the topology applied."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
import pytest_asyncio
from nats.aio.client import Client
from pydantic import SecretStr
from switchboard.bus import Bus, consumer, permissions, topology
from switchboard.bus.connection import connect
from switchboard.clock import Clock
from switchboard.contracts.base import Service
from switchboard.contracts.calls import TurnRecorded
from switchboard.sealed import Sealed
from switchboard.settings import NatsSettings, SealingSettings

from fleet.hosted import HostedSupervisor
from fleet.process import ProcessSpec, base_environment
from fleet.servers import NatsServer, make_nats


@dataclass
class BusServer:
    """`connect(Service.X)` gives X's connection, drained at the end of the test. One master key for all."""

    server: NatsServer
    host: HostedSupervisor
    passwords: dict[str, str]
    sealing: SealingSettings
    stack: AsyncExitStack = field(repr=False)

    def settings(self, user: str) -> NatsSettings:
        return NatsSettings(url=self.server.url, user=user, password=SecretStr(self.passwords[user]))

    async def connect(
        self, service: Service, on_closed: Callable[[], None] = lambda: None, clock: Clock | None = None
    ) -> Bus:
        bus = await Bus.connect(self.settings(service.value), self.sealing, service, clock=clock, on_closed=on_closed)
        self.stack.push_async_callback(bus.drain)
        return bus

    @asynccontextmanager
    async def topology(self) -> AsyncIterator[Client]:
        """A connection of the user who declares streams, reads dead letters and sends them again."""
        client = await connect(self.settings(permissions.TOPOLOGY_USER), name="topology", inbox="_INBOX_topology")
        try:
            yield client
        finally:
            await client.close()

    def environment(self, user: str) -> dict[str, str]:
        """The variables of a process that is ``user`` on the bus, beside what every process of the fleet gets."""
        settings = self.settings(user)
        return base_environment() | {
            "SWITCHBOARD_NATS__URL": settings.url,
            "SWITCHBOARD_NATS__USER": settings.user,
            "SWITCHBOARD_NATS__PASSWORD": settings.password.get_secret_value(),
            "SWITCHBOARD_SEALING__MASTER_KEY": self.sealing.master_key.get_secret_value(),
        }


async def new_tenant(bus: Bus) -> UUID:
    """A tenant with a data key; ``bus`` is tenant-svc's."""
    tenant_id = bus.ids.new()
    await bus.keyring.publish(tenant_id, bus.keyring.create(tenant_id))
    return tenant_id


def new_master_key() -> SealingSettings:
    return SealingSettings(master_key=SecretStr(base64.b64encode(secrets.token_bytes(32)).decode()))


def turn(tenant_id: UUID, call_id: UUID, seq: int, said: str = "hello") -> TurnRecorded:
    """A turn of a call's first epoch, in which ``said`` was said and heard."""
    return TurnRecorded(
        tenant_id=tenant_id,
        call_id=call_id,
        epoch=1,
        seq=seq,
        at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        turn=seq,
        kind="answered",
        agent_said=Sealed(said),
        agent_heard=Sealed(said),
    )


@asynccontextmanager
async def open_bus_server(
    host: HostedSupervisor, wrapped: Callable[[ProcessSpec], ProcessSpec] = lambda spec: spec
) -> AsyncIterator[BusServer]:
    """Streams, consumers, buckets and per-service permissions as in production. ``wrapped`` may change how it is run."""
    passwords = {user: secrets.token_urlsafe(18) for user in permissions.users()}
    ports = host.ports
    server = make_nats(host.folder / "nats", ports.one(), ports.one(), "", authorization=permissions.render(passwords))
    server = replace(server, spec=wrapped(server.spec))
    await host.astart(server.spec)
    async with AsyncExitStack() as stack:
        made = BusServer(server, host, passwords, new_master_key(), stack)
        async with made.topology() as client:
            await topology.apply(client)
        yield made


@pytest.fixture
def quick_redelivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not acknowledged comes again after 3 s instead of 30. Wants to stand before `bus_server`."""
    monkeypatch.setattr(topology, "ACK_WAIT_SECONDS", 3.0)
    monkeypatch.setattr(consumer, "ACK_WAIT_SECONDS", 3.0)


@pytest_asyncio.fixture
async def bus_server(own_servers: HostedSupervisor) -> AsyncIterator[BusServer]:
    async with open_bus_server(own_servers) as made:
        yield made
