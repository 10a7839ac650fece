"""The servers and services that a bench measures: the fleet's own processes on free ports, in a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncpg
from fleet.hosted import HostedSupervisor
from fleet.layout import DATABASE, Layout, lay_out
from fleet.ports import PortPool
from fleet.process import ProcessSpec
from fleet.services import all_specs
from pydantic import SecretStr
from switchboard.bus import Bus
from switchboard.contracts.base import Service
from switchboard.settings import NatsSettings, SealingSettings

WRITES_SPANS = "SWITCHBOARD_TELEMETRY__SPANS_FILE"


@dataclass
class Ground:
    """Running processes, and connections to them that close with it."""

    layout: Layout
    host: HostedSupervisor
    stack: AsyncExitStack = field(repr=False)
    _specs: dict[str, ProcessSpec] = field(repr=False)
    _buses: dict[Service, Bus] = field(default_factory=dict, repr=False)

    async def start(self, *names: str) -> None:
        """These processes and those that they wait for, unless they run already."""
        running = {status.name for status in self.host.supervisor.status()}
        await self.host.astart(*(spec for spec in _needed(self._specs, names) if spec.name not in running))

    def port(self) -> int:
        """A free one."""
        return self.host.ports.one()

    def pid(self, *names: str) -> list[int]:
        return [self.host.supervisor.pid_of(name) for name in names]

    def nats(self, user: str) -> NatsSettings:
        password = SecretStr(self.layout.secrets.nats[user])
        return NatsSettings(url=self.layout.nats.url, user=user, password=password)

    @property
    def sealing(self) -> SealingSettings:
        return SealingSettings(master_key=SecretStr(self.layout.secrets.master_key))

    async def bus(self, service: Service) -> Bus:
        """That service's connection, one for all who ask."""
        if service not in self._buses:
            self._buses[service] = await Bus.connect(self.nats(service.value), self.sealing, service)
            self.stack.push_async_callback(self._buses[service].drain)
        return self._buses[service]

    async def postgres(self, role: str = "") -> asyncpg.Connection[asyncpg.Record]:
        """A bare connection of a service's role; of the superuser without one."""
        secrets = self.layout.secrets
        dsn = (
            self.layout.postgres.dsn(DATABASE, role, secrets.roles[role])
            if role
            else self.layout.postgres.dsn(DATABASE)
        )
        connection = await asyncpg.connect(dsn)
        self.stack.push_async_callback(connection.close)
        return connection


@asynccontextmanager
async def ground(*names: str, settings: Mapping[str, str] | None = None) -> AsyncIterator[Ground]:
    """Starts the fleet's processes of these names, what they wait for, and nothing else.

    Services make their spans and write them nowhere: a fleet of the tests writes each to a file at once, which no deployment
    does. ``settings`` are added to every service's environment.
    """
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder, PortPool() as ports:
        layout = lay_out(Path(folder), ports)
        specs = {spec.name: _adapted(spec, settings or {}) for spec in all_specs(layout)}
        host = HostedSupervisor(Path(folder))
        try:
            async with AsyncExitStack() as stack:
                made = Ground(layout, host, stack, specs)
                await made.start(*names)
                yield made
        finally:
            host.close()


def _needed(specs: Mapping[str, ProcessSpec], names: Iterable[str]) -> list[ProcessSpec]:
    wanted: dict[str, ProcessSpec] = {}
    waiting = list(names)
    while waiting:
        spec = specs[waiting.pop()]
        if spec.name not in wanted:
            wanted[spec.name] = spec
            waiting += spec.after
    return list(wanted.values())


def _adapted(spec: ProcessSpec, settings: Mapping[str, str]) -> ProcessSpec:
    kept = {key: value for key, value in spec.env.items() if key != WRITES_SPANS}
    return replace(spec, env=kept | dict(settings) if WRITES_SPANS in spec.env else kept)
