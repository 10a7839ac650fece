"""Which addresses one fleet has and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from switchboard.bus import permissions

from fleet.emulated import EmulatedProviders
from fleet.ports import PortPool
from fleet.process import FleetError
from fleet.secret_store import FleetSecrets
from fleet.servers import (
    LiveKitServer,
    MailboxServer,
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
MOST_COPIES = 9
"""Of one service on one machine."""


@dataclass(frozen=True)
class Layout:
    """A fleet's servers and the services' HTTP ports, by process: `rag-svc`, and `rag-svc-2` where there are two."""

    folder: Path
    secrets: FleetSecrets
    postgres: PostgresServer
    nats: NatsServer
    redis_app: RedisServer
    redis_livekit: RedisServer
    livekit: LiveKitServer
    sip: SipBridge
    mailbox: MailboxServer
    http_ports: dict[str, int] = field(default_factory=dict)
    emulated: EmulatedProviders | None = None
    """Stand-ins of paid providers, where there are some."""
    programs: Path | None = None
    """A folder whose programs the voice agent finds before the system's (the faults of tests)."""

    @property
    def api_url(self) -> str:
        """Of the first gateway."""
        return self.url("api-gateway")

    def url(self, process: str) -> str:
        """The HTTP address of a service's process; `/metrics` and `/health/ready` are there in every one."""
        return f"http://127.0.0.1:{self.http_ports[process]}"

    def copies_of(self, service: str) -> list[str]:
        """The names of a service's processes, the first one first."""
        return [process for process in self.http_ports if service_of(process) == service]

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


def process_names(service: str, copies: int) -> list[str]:
    """`rag-svc`, `rag-svc-2`, `rag-svc-3`: the first copy has the service's own name."""
    return [service, *(f"{service}-{number}" for number in range(2, copies + 1))]


def service_of(process: str) -> str:
    """The service that a process is a copy of."""
    name, _, number = process.rpartition("-")
    return name if number.isdigit() else process


def parse_copies(text: str) -> dict[str, int]:
    """`rag-svc=2 voice-agent=3`, as a person writes it (commas do too). FleetError names what is wrong."""
    found: dict[str, int] = {}
    for item in text.replace(",", " ").split():
        service, _, number = item.partition("=")
        if service not in SERVICES:
            raise FleetError(f"COPIES={item}: there is no service {service}; there are: {', '.join(SERVICES)}")
        if not number.isdecimal() or not 1 <= int(number) <= MOST_COPIES:
            raise FleetError(f"COPIES={item}: say how many, 1 to {MOST_COPIES}, e.g. {service}=2")
        found[service] = int(number)
    return found


def lay_out(
    folder: Path,
    ports: PortPool,
    programs: Path | None = None,
    *,
    emulated: bool = False,
    copies: Mapping[str, int] | None = None,
) -> Layout:
    """Chooses ports and secrets for a fleet in `folder`; what is there already (data, secrets) is used again.

    `emulated`: with the stand-ins of paid providers. `copies`: how many processes of a service, where not one.
    """
    secrets = FleetSecrets.kept_in(folder / "secrets.json")
    wanted = copies or {}
    http_ports = {name: ports.one() for service in SERVICES for name in process_names(service, wanted.get(service, 1))}
    gateways = process_names("api-gateway", wanted.get("api-gateway", 1))
    redis_livekit = make_redis(
        folder / "redis-livekit", ports.one(), secrets.redis_livekit, name="redis-livekit", appendonly=True
    )
    livekit = make_livekit(
        folder / "livekit",
        (ports.one(), ports.one(), ports.one()),
        (secrets.livekit_key, secrets.livekit_secret),
        redis_livekit,
        # Each event goes to every gateway: there is no load balancer here, and the copies of an event count once.
        webhooks=[f"http://127.0.0.1:{http_ports[gateway]}/webhooks/livekit" for gateway in gateways],
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
        mailbox=MailboxServer.lay_out(ports),
        http_ports=http_ports,
        emulated=EmulatedProviders.lay_out(ports) if emulated else None,
        programs=programs,
    )
