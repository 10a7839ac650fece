"""The bridge under test: the node, or the real livekit-sip when LIVEKIT_SIP_BIN names it."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from fleet.files import write_private
from fleet.hosted import HostedSupervisor
from fleet.probes import http_ok
from fleet.process import ProcessSpec
from fleet.servers import LiveKitServer, RedisServer
from sip_node.testing.bridge import Bridge, Line, LiveKitAccess, OpenLine

REAL = os.environ.get("LIVEKIT_SIP_BIN", "")


def start_bridge(
    host: HostedSupervisor,
    folder: Path,
    server: LiveKitServer,
    redis: RedisServer,
    stop_signal: signal.Signals = signal.SIGTERM,
    real: str = "",
    rtp_ports: int = 60,
    **settings: Any,
) -> Bridge:
    """The node, or the program `real` names. `settings` are added to the file both read; stopping sends `stop_signal`."""
    ports = host.ports
    sip, health, metrics = ports.one(), ports.one(), ports.one()
    rtp = ports.block(rtp_ports)
    values = {
        "api_key": server.api_key,
        "api_secret": server.api_secret,
        "ws_url": server.url,
        "redis": {"address": redis.address, "password": redis.password},
        "sip_port": sip,
        "rtp_port": f"{rtp.start}-{rtp.stop - 1}",
        "listen_ip": "127.0.0.1",
        "nat_1_to_1_ip": "127.0.0.1",
        "health_port": health,
        "prometheus_port": metrics,
        "max_active_calls": 100,
        # Otherwise livekit-sip reports UnderLoad, and is never ready, while other processes keep the machine busy.
        "max_cpu_utilization": 1.0,
        "rtp_draining_idle_timeout": "-1s",
        "rtp_draining_duration": "-1s",
        "logging": {"level": "debug", "json": True},
        **settings,
    }
    name = f"sip-{secrets.token_hex(3)}"
    config = folder / name / "sip.yaml"
    program = (real,) if real else (sys.executable, "-m", "sip_node")
    spec = ProcessSpec(
        name=name,
        argv=(*program, "--config", str(config)),
        ready=http_ok(f"http://127.0.0.1:{health}/"),
        prepare=lambda: write_private(config, yaml.safe_dump(values)),
        stop_signal=stop_signal,
        grace=30.0,
    )
    host.start(spec)
    access = LiveKitAccess(server.url, server.api_key, server.api_secret)
    urls = f"http://127.0.0.1:{health}/", f"http://127.0.0.1:{metrics}/"
    return Bridge(name, ("127.0.0.1", sip), *urls, bool(real), host, access)


@pytest.fixture(scope="session")
def bridge(server_host: HostedSupervisor, livekit_server: LiveKitServer, livekit_redis: RedisServer) -> Bridge:
    """The session's shared bridge."""
    return start_bridge(server_host, server_host.folder, livekit_server, livekit_redis, real=REAL)


@pytest.fixture(scope="session")
def node(
    bridge: Bridge, server_host: HostedSupervisor, livekit_server: LiveKitServer, livekit_redis: RedisServer
) -> Bridge:
    """Always the node, for what only it does."""
    if not bridge.real:
        return bridge
    return start_bridge(server_host, server_host.folder, livekit_server, livekit_redis)


@pytest.fixture(scope="session")
def impatient_bridge(
    server_host: HostedSupervisor, livekit_server: LiveKitServer, livekit_redis: RedisServer
) -> Bridge:
    """One that misses the caller's audio after 1.5 s."""
    return start_bridge(
        server_host,
        server_host.folder,
        livekit_server,
        livekit_redis,
        real=REAL,
        media_timeout="1500ms",
        media_timeout_initial="2500ms",
    )


@pytest.fixture
def own_bridge(
    own_servers: HostedSupervisor, livekit_server: LiveKitServer, livekit_redis: RedisServer
) -> Callable[..., Bridge]:
    """Starts a bridge for one test, with settings of its own."""

    def start(server: LiveKitServer = livekit_server, redis: RedisServer = livekit_redis, **settings: Any) -> Bridge:
        return start_bridge(own_servers, own_servers.folder, server, redis, real=REAL, **settings)

    return start


@pytest.fixture
def own_node(
    own_servers: HostedSupervisor, livekit_server: LiveKitServer, livekit_redis: RedisServer
) -> Callable[..., Bridge]:
    """Starts a node for one test, with settings of its own."""

    def start(**settings: Any) -> Bridge:
        return start_bridge(own_servers, own_servers.folder, livekit_server, livekit_redis, **settings)

    return start


@pytest_asyncio.fixture
async def open_line(request: pytest.FixtureRequest) -> AsyncIterator[OpenLine]:
    """Opens lines on a bridge and closes them after the test."""
    lines: list[Line] = []

    async def opener(on: Bridge, **fields: Any) -> Line:
        line = await Line.open(on.access, on.sip, **fields)
        lines.append(line)
        return line

    yield opener
    for line in lines:
        await line.close()
