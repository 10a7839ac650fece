"""pytest plugin: real servers, one of each for a whole test session, on free ports, in pytest's temporary folder.

Tests share a server, so each makes its own database, stream names or key prefixes. A test that kills a server
starts its own with `own_servers` instead of spoiling everybody's. `INFRA=containers`: as containers (fleet.containers).
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio

from fleet import containers
from fleet.hosted import HostedSupervisor
from fleet.servers import (
    LiveKitServer,
    NatsServer,
    PostgresServer,
    RedisServer,
    make_livekit,
    make_nats,
    make_postgres,
    make_redis,
)


def pytest_configure() -> None:
    if not containers.wanted():
        return
    reason = containers.silence()
    if reason is not None:
        raise pytest.UsageError(f"INFRA=containers, but no engine answers: {reason}")
    containers.sweep()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The log proves what ran where."""
    if not containers.wanted():
        return
    terminalreporter.section(f"{len(containers.RAN)} containers ran")
    for ran in containers.RAN:
        terminalreporter.line(f"{ran.id}  {ran.image}  {ran.server}, pid {ran.pid}")


@pytest.fixture(scope="session")
def server_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedSupervisor]:
    """The supervisor of the session's shared servers."""
    host = HostedSupervisor(tmp_path_factory.mktemp("servers"))
    yield host
    host.close()


@pytest.fixture
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedSupervisor]:
    """A supervisor for one test that wants servers of its own (to kill them, or to give them special configuration)."""
    host = HostedSupervisor(tmp_path_factory.mktemp("own-servers"))
    yield host
    host.close()


@pytest.fixture(scope="session")
def postgres_server(server_host: HostedSupervisor) -> PostgresServer:
    """PostgreSQL 18 with pgvector available (CREATE EXTENSION vector is yours)."""
    server = make_postgres(
        server_host.folder / "postgres", server_host.ports.one(), secrets.token_urlsafe(18), durable=False
    )
    server_host.start(server.spec)
    return server


@pytest_asyncio.fixture
async def postgres_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The superuser's DSN of an empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    await run_sql(postgres_server.dsn(), f'CREATE DATABASE "{name}"')
    yield postgres_server.dsn(name)
    await run_sql(postgres_server.dsn(), f'DROP DATABASE "{name}" WITH (FORCE)')


async def run_sql(dsn: str, statement: str) -> None:
    """One statement outside a transaction."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def nats_server(server_host: HostedSupervisor) -> NatsServer:
    """JetStream, `sync_interval: always`, one user who may do everything."""
    ports = server_host.ports
    server = make_nats(server_host.folder / "nats", ports.one(), ports.one(), secrets.token_urlsafe(18))
    server_host.start(server.spec)
    return server


@pytest.fixture(scope="session")
def redis_server(server_host: HostedSupervisor) -> RedisServer:
    """The application's Redis."""
    server = make_redis(server_host.folder / "redis-app", server_host.ports.one(), secrets.token_urlsafe(18))
    server_host.start(server.spec)
    return server


@pytest.fixture(scope="session")
def livekit_redis(server_host: HostedSupervisor) -> RedisServer:
    """LiveKit's own Redis: psrpc, trunks, rules and rooms."""
    folder = server_host.folder / "redis-livekit"
    server = make_redis(
        folder, server_host.ports.one(), secrets.token_urlsafe(18), name="redis-livekit", appendonly=True
    )
    server_host.start(server.spec)
    return server


@pytest.fixture(scope="session")
def livekit_server(server_host: HostedSupervisor, livekit_redis: RedisServer) -> LiveKitServer:
    """A LiveKit server beside its Redis, without webhooks."""
    ports = server_host.ports
    server = make_livekit(
        server_host.folder / "livekit",
        (ports.one(), ports.one(), ports.one()),
        ("key" + secrets.token_hex(6), secrets.token_hex(24)),
        livekit_redis,
    )
    server_host.start(server.spec)
    return server
