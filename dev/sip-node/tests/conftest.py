"""The bridge under test: the node, or the real livekit-sip when LIVEKIT_SIP_BIN names it."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from fleet.files import write_private
from fleet.hosted import HostedSupervisor
from fleet.probes import http_ok
from fleet.process import ProcessSpec
from fleet.servers import LiveKitServer, RedisServer, make_livekit, make_redis
from sip_node.testing.bridge import Bridge, Line, LiveKitAccess, OpenLine
from sip_node.testing.outbound import OpenOutbound, OutboundLine
from sip_node.testing.record import NODE as NODE_NAME
from sip_node.testing.record import REAL as REAL_NAME
from sip_node.testing.record import Observation, Records
from sip_node.testing.webhooks import WebhookReceiver

REAL = os.environ.get("LIVEKIT_SIP_BIN", "")
IMPATIENT: dict[str, Any] = {"media_timeout": "1500ms", "media_timeout_initial": "2500ms"}
# Calls out go to any bridge of LiveKit's cluster, which has no name: only the one under test may take them.
ASIDE: dict[str, Any] = {"cluster_id": "aside"}
OBSERVED = pytest.StashKey[Observation]()
SEEN = pytest.StashKey[list[Observation]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", default="", metavar="FOLDER", help="write what the contract cases saw to FOLDER")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SEEN] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A case counts as seen once its assertions held."""
    report = yield
    observed = item.stash.get(OBSERVED, None)
    if observed is not None and report.when == "call" and report.failed:
        observed.real = None
    elif observed is not None and report.when == "teardown" and observed.real is not None:
        item.config.stash[SEEN].append(observed)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("--record", "")
    if not folder:
        return
    for real, name in ((True, REAL_NAME), (False, NODE_NAME)):
        seen = [item for item in session.config.stash[SEEN] if item.real is real]
        if seen:
            records = Records(Path(folder) / f"{name}.json")
            for observation in seen:
                records.add(observation, datetime.now(UTC))
            records.save()


@pytest.fixture(autouse=True)
def observed(request: pytest.FixtureRequest) -> Observation:
    """What this test saw, for `--record`; only contract cases are written."""
    module = Path(request.node.path).stem
    observation = Observation(f"{module}::{request.node.name}")
    if module.startswith("test_contract_"):
        request.node.stash[OBSERVED] = observation
    return observation


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
    return start_bridge(server_host, server_host.folder, livekit_server, livekit_redis, **ASIDE)


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
        **IMPATIENT,
        **ASIDE,
    )


@pytest.fixture
def own_bridge(
    own_servers: HostedSupervisor, livekit_server: LiveKitServer, livekit_redis: RedisServer
) -> Callable[..., Bridge]:
    """Starts a bridge for one test, with settings of its own."""

    def start(server: LiveKitServer = livekit_server, redis: RedisServer = livekit_redis, **settings: Any) -> Bridge:
        shared = ASIDE if server is livekit_server else {}
        return start_bridge(own_servers, own_servers.folder, server, redis, real=REAL, **shared, **settings)

    return start


@pytest.fixture
def own_node(
    own_servers: HostedSupervisor, livekit_server: LiveKitServer, livekit_redis: RedisServer
) -> Callable[..., Bridge]:
    """Starts a node for one test, with settings of its own."""

    def start(**settings: Any) -> Bridge:
        return start_bridge(own_servers, own_servers.folder, livekit_server, livekit_redis, **ASIDE, **settings)

    return start


@dataclass
class Hooked:
    """A bridge alone on a LiveKit server that sends webhooks."""

    bridge: Bridge
    hooks: WebhookReceiver


@pytest_asyncio.fixture
async def hooked(own_servers: HostedSupervisor, own_bridge: Callable[..., Bridge]) -> AsyncIterator[Hooked]:
    """An impatient bridge (see above) with a server and a Redis for one test."""
    host = own_servers
    redis = make_redis(host.folder / "redis", host.ports.one(), secrets.token_urlsafe(18), name="hook-redis")
    keys, port = ("devkey", secrets.token_hex(24)), host.ports.one()
    hooks = WebhookReceiver(*keys)
    await hooks.start(port)
    ports = (host.ports.one(), host.ports.one(), host.ports.one())
    urls = (f"http://127.0.0.1:{port}/",)
    server = make_livekit(host.folder / "lk", ports, keys, redis, webhooks=urls, name="hook-livekit")
    await host.astart(redis.spec, server.spec)
    yield Hooked(own_bridge(server=server, redis=redis, **IMPATIENT), hooks)
    await hooks.close()


@pytest_asyncio.fixture
async def open_line(observed: Observation) -> AsyncIterator[OpenLine]:
    """Opens lines on a bridge and closes them after the test."""
    lines: list[Line] = []

    async def opener(on: Bridge, **fields: Any) -> Line:
        observed.real = on.real
        line = await Line.open(on.access, on.sip, **fields)
        lines.append(line)
        return line

    yield opener
    for line in lines:
        for caller in line.callers:
            observed.leg("caller", caller.heard)
        for agent in line.agents:
            observed.room(agent)
        await line.close()


@pytest_asyncio.fixture
async def open_outbound(observed: Observation) -> AsyncIterator[OpenOutbound]:
    """Opens outbound trunks and closes them after the test."""
    lines: list[OutboundLine] = []

    async def opener(on: Bridge, **fields: Any) -> OutboundLine:
        observed.real = on.real
        line = await OutboundLine.open(on.access, **fields)
        lines.append(line)
        return line

    yield opener
    for line in lines:
        observed.leg("callee", line.callee.socket.received)
        for agent in line.agents:
            observed.room(agent)
        await line.close()
