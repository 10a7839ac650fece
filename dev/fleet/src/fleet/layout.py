"""Which addresses one fleet has and where its files are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from switchboard.bus import permissions

from fleet.emulated import EmulatedProviders
from fleet.ports import PortPool
from fleet.secret_store import FleetSecrets
from fleet.servers import (
    LiveKitServer,
    NatsServer,
    PostgresServer,
    RedisServer,
    SipBridge,
    make_livekit,
    make_nats,
    make_postgres,
    make_redis,
    make_sip_bridge,
)

DATABASE = "switchboard"
SERVICES = ("api-gateway", "tenant-svc", "call-orchestrator", "rag-svc", "ingest-worker", "voice-agent")
CALLS_AT_ONCE = 5
"""On two cores shared with everything else (facts of the SIP node)."""


@dataclass(frozen=True)
class Layout:
    """A fleet's servers and the services' HTTP ports. `host` is always loopback."""

    folder: Path
    secrets: FleetSecrets
    postgres: PostgresServer
    nats: NatsServer
    redis_app: RedisServer
    redis_livekit: RedisServer
    livekit: LiveKitServer
    sip: SipBridge
    http_ports: dict[str, int] = field(default_factory=dict)
    emulated: EmulatedProviders | None = None
    """Stand-ins of paid providers, where there are some."""
    programs: Path | None = None
    """A folder whose programs the voice agent finds before the system's (the faults of tests)."""

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.http_ports['api-gateway']}"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


def lay_out(folder: Path, ports: PortPool, programs: Path | None = None, *, emulated: bool = False) -> Layout:
    """Chooses ports and secrets for a fleet in `folder`; what is there already (data, secrets) is used again.

    `emulated`: with the stand-ins of paid providers.
    """
    secrets = FleetSecrets.kept_in(folder / "secrets.json")
    http_ports = {name: ports.one() for name in SERVICES}
    redis_livekit = make_redis(
        folder / "redis-livekit", ports.one(), secrets.redis_livekit, name="redis-livekit", appendonly=True
    )
    livekit = make_livekit(
        folder / "livekit",
        (ports.one(), ports.one(), ports.one()),
        (secrets.livekit_key, secrets.livekit_secret),
        redis_livekit,
        webhooks=[f"http://127.0.0.1:{http_ports['api-gateway']}/webhooks/livekit"],
    )
    # Two ports a call, and a freed port rests before it is used again.
    rtp = ports.block(CALLS_AT_ONCE * 8)
    return Layout(
        folder=folder,
        secrets=secrets,
        postgres=make_postgres(folder / "postgres", ports.one(), secrets.postgres),
        nats=make_nats(folder / "nats", ports.one(), ports.one(), "", authorization=permissions.render(secrets.nats)),
        redis_app=make_redis(folder / "redis-app", ports.one(), secrets.redis_app),
        redis_livekit=redis_livekit,
        livekit=livekit,
        sip=make_sip_bridge(folder / "sip", (ports.one(), ports.one()), rtp, livekit, redis_livekit),
        http_ports=http_ports,
        emulated=EmulatedProviders.lay_out(ports) if emulated else None,
        programs=programs,
    )
