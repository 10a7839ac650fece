"""LiveKit server, and what speaks SIP beside it.

LiveKit's configuration is parsed strictly: an unknown key stops the server.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fleet.files import FleetFiles, find_program, write_private
from fleet.probes import http_ok
from fleet.process import ContainerSpec, FleetError, ProcessSpec
from fleet.servers.redis import RedisServer

LIVEKIT_VERSION = "1.13.5"


@dataclass(frozen=True)
class LiveKitServer:
    """A LiveKit server on 127.0.0.1 with one key."""

    spec: ProcessSpec
    host: str
    port: int
    api_key: str
    api_secret: str

    @property
    def url(self) -> str:
        """For room clients (the SDKs take it for API calls too)."""
        return f"ws://{self.host}:{self.port}"

    @property
    def http_url(self) -> str:
        return f"http://{self.host}:{self.port}"


def livekit_binary() -> Path:
    """`LIVEKIT_SERVER_BIN`, `livekit-server` on PATH, or the one that `make setup` built into the cache folder."""
    named = os.environ.get("LIVEKIT_SERVER_BIN")
    if named:
        if not os.access(named, os.X_OK):
            raise FleetError(f"LIVEKIT_SERVER_BIN={named} is not a program")
        return Path(named)
    built = FleetFiles.cache() / f"livekit-server-{LIVEKIT_VERSION}" / "livekit-server"
    if built.exists():
        return built
    return find_program("livekit-server", "run `make setup`, or name one in LIVEKIT_SERVER_BIN")


def make_livekit(
    folder: Path,
    ports: tuple[int, int, int],
    keys: tuple[str, str],
    redis: RedisServer,
    webhooks: Sequence[str] = (),
    name: str = "livekit",
) -> LiveKitServer:
    """A single node. `ports` are those of HTTP, ICE over TCP and ICE over UDP; `keys` are the API key and its secret
    (at least 32 characters); each URL of `webhooks` gets its events, signed with that key.
    """
    port, tcp_port, udp_port = ports
    api_key, api_secret = keys
    if len(api_secret) < 32:
        raise FleetError("LiveKit wants an API secret of at least 32 characters")
    settings: dict[str, Any] = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": tcp_port,
            "udp_port": udp_port,
            "use_external_ip": False,
            # Also what keeps it from asking public STUN servers for its address.
            "node_ip": "127.0.0.1",
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
        },
        "keys": {api_key: api_secret},
        "redis": {"address": redis.address, "password": redis.password},
        # A participant's signalling crosses Redis even on a single node. By default one whose signals can't for 7.5 s is put
        # out of its room; a call must live through a Redis that is started anew.
        "signal_relay": {"retry_timeout": "60s", "max_retry_interval": "1s"},
        "logging": {"level": "info", "json": True},
    }
    if webhooks:
        settings["webhook"] = {"api_key": api_key, "urls": list(webhooks)}
    config = folder / "livekit.yaml"
    prepare = functools.partial(write_private, config, yaml.safe_dump(settings, sort_keys=False))
    arguments = ("--config", str(config))
    spec = ProcessSpec(
        name=name,
        argv=(str(livekit_binary()), *arguments),
        ready=http_ok(f"http://127.0.0.1:{port}/"),
        prepare=prepare,
        container=ContainerSpec("livekit", folder, arguments, prepare=prepare),
        after=(redis.spec.name,),
    )
    return LiveKitServer(spec, "127.0.0.1", port, api_key, api_secret)


@dataclass(frozen=True)
class SipBridge:
    """What answers SIP: the stand-in node, or the real LiveKit SIP when `LIVEKIT_SIP_BIN` names it."""

    spec: ProcessSpec
    host: str
    port: int
    real: bool

    @property
    def software(self) -> str:
        """What it is, for people."""
        return "LiveKit SIP" if self.real else "the SIP node in LiveKit SIP's place"


def make_sip_bridge(
    folder: Path, ports: tuple[int, int], rtp_ports: range, server: LiveKitServer, redis: RedisServer
) -> SipBridge:
    """`ports` are those of SIP (UDP) and of the health page. Either program reads the same configuration file."""
    port, health_port = ports
    settings: dict[str, Any] = {
        "api_key": server.api_key,
        "api_secret": server.api_secret,
        "ws_url": server.url,
        "redis": {"address": redis.address, "password": redis.password},
        "sip_port": port,
        "rtp_port": f"{rtp_ports.start}-{rtp_ports.stop - 1}",
        "listen_ip": "127.0.0.1",
        # Without it LiveKit SIP looks for an address that isn't loopback, and announces that.
        "nat_1_to_1_ip": "127.0.0.1",
        "health_port": health_port,
        # LiveKit SIP says "under load" by the whole machine's CPU; here ten processes start on it at the same moment.
        "max_cpu_utilization": 1.0,
        "logging": {"level": "info", "json": True},
    }
    config = folder / "sip.yaml"
    real = os.environ.get("LIVEKIT_SIP_BIN")
    if real and not os.access(real, os.X_OK):
        raise FleetError(f"LIVEKIT_SIP_BIN={real} is not a program")
    program = (real,) if real else (sys.executable, "-m", "sip_node")
    spec = ProcessSpec(
        name="sip",
        argv=(*program, "--config", str(config)),
        ready=http_ok(f"http://127.0.0.1:{health_port}/"),
        prepare=functools.partial(write_private, config, yaml.safe_dump(settings, sort_keys=False)),
        # Either program waits for its calls on SIGTERM, without an end, and hangs up on SIGINT.
        stop_signal=signal.SIGINT,
        after=(server.spec.name, redis.spec.name),
    )
    return SipBridge(spec, "127.0.0.1", port, real is not None)
