"""pytest plugin: a nats-server of the test's own, with each service's own user and permissions and the topology applied."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest_asyncio
from pydantic import SecretStr
from switchboard.bus import Bus, permissions, topology
from switchboard.bus.connection import connect
from switchboard.contracts.base import Service
from switchboard.settings import NatsSettings, SealingSettings

from fleet.hosted import HostedSupervisor
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

    async def connect(self, service: Service, on_closed: Callable[[], None] = lambda: None) -> Bus:
        bus = await Bus.connect(self.settings(service.value), self.sealing, service, on_closed=on_closed)
        self.stack.push_async_callback(bus.drain)
        return bus


def new_master_key() -> SealingSettings:
    return SealingSettings(master_key=SecretStr(base64.b64encode(secrets.token_bytes(32)).decode()))


@pytest_asyncio.fixture
async def bus_server(own_servers: HostedSupervisor) -> AsyncIterator[BusServer]:
    """Streams, consumers, buckets and per-service permissions as in production."""
    passwords = {user: secrets.token_urlsafe(18) for user in permissions.users()}
    ports = own_servers.ports
    server = make_nats(
        own_servers.folder / "nats", ports.one(), ports.one(), "", authorization=permissions.render(passwords)
    )
    await own_servers.astart(server.spec)
    async with AsyncExitStack() as stack:
        made = BusServer(server, own_servers, passwords, new_master_key(), stack)
        client = await connect(made.settings(permissions.TOPOLOGY_USER), name="topology", inbox="_INBOX_topology")
        try:
            await topology.apply(client)
        finally:
            await client.close()
        yield made
