"""The six services and the two steps before them, as processes with their settings."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import asyncpg
from switchboard.bus.permissions import TOPOLOGY_USER

from fleet.layout import CALLS_AT_ONCE, DATABASE, Layout, service_of
from fleet.models import EMBEDDINGS
from fleet.probes import http_ok
from fleet.process import ProcessSpec
from fleet.secret_store import FleetSecrets

MIGRATE = "migrate"
TOPOLOGY = "topology"
MODULES = {
    MIGRATE: "switchboard.migrate",
    TOPOLOGY: "switchboard.bus.topology",
    "api-gateway": "api_gateway",
    "tenant-svc": "tenant_svc",
    "call-orchestrator": "call_orchestrator",
    "rag-svc": "rag_svc",
    "ingest-worker": "ingest_worker",
    "voice-agent": "voice_agent",
}
NEEDS = {
    "api-gateway": ("nats", "sealing", "livekit", "blobs", "redis", "limits", "edge", "console"),
    "tenant-svc": ("nats", "sealing", "livekit", "blobs", "database", "operators", "platform", "console", "mail"),
    "call-orchestrator": ("nats", "sealing", "livekit", "blobs", "database", "operators"),
    "rag-svc": ("nats", "sealing", "blobs", "database", "operators", "embeddings"),
    "ingest-worker": ("nats", "sealing", "blobs", "embeddings"),
    "voice-agent": ("nats", "sealing", "livekit", "blobs", "speech", "worker"),
}
"""Which settings each service gets: no secret that it doesn't need."""
LIMITS = {
    "ADDRESS": 6000,
    "ANONYMOUS": 300,
    "SIGNUP": 600,
    "FAILURES": 6000,
    "KEY": 3000,
    "TENANT": 6000,
    "ACCOUNT": 600,
    "LOGIN": 6000,
}
"""Requests a minute."""
GRACE = 25.0
LONGEST_TEMPORARY = 70


def all_specs(layout: Layout) -> list[ProcessSpec]:
    """The whole fleet, in no particular order: the supervisor goes by what waits for what."""
    servers = [
        layout.postgres.spec,
        layout.nats.spec,
        layout.redis_app.spec,
        layout.redis_livekit.spec,
        layout.livekit.spec,
        layout.sip.spec,
        layout.mailbox.spec,
    ]
    servers += [layout.emulated.spec()] if layout.emulated else []
    return [
        *servers,
        migrate_step(layout),
        topology_step(layout),
        *(service(layout, process) for process in layout.http_ports),
    ]


def migrate_step(layout: Layout) -> ProcessSpec:
    """Roles, schemas and every service's migrations, by the superuser; makes the database first."""

    def make_database() -> None:
        asyncio.run(ensure_database(layout.postgres.dsn(), DATABASE))

    env = migrate_environment(layout.postgres.dsn(DATABASE), layout.secrets)
    return step(MIGRATE, env, after=(layout.postgres.spec.name,), prepare=make_database)


def migrate_environment(dsn: str, secrets: FleetSecrets) -> dict[str, str]:
    """What the migrations need: the superuser's DSN, and a password for each role that they make."""
    env = {"SWITCHBOARD_MIGRATE__ADMIN_DSN": dsn}
    for role, password in secrets.roles.items():
        env[f"SWITCHBOARD_MIGRATE__PASSWORDS__{role.upper()}"] = password
    return env


def topology_step(layout: Layout) -> ProcessSpec:
    """Streams, consumers and buckets, by the one user who may make them."""
    env = fragment(layout, TOPOLOGY_USER, "nats")
    return step(TOPOLOGY, env, after=(layout.nats.spec.name,))


def step(
    name: str, env: dict[str, str], after: tuple[str, ...], prepare: Callable[[], None] | None = None
) -> ProcessSpec:
    """A one-shot process that must end with 0 before the services start."""
    argv = (sys.executable, "-m", MODULES[name])
    return ProcessSpec(
        name,
        argv,
        env=env,
        after=after,
        oneshot=True,
        ready_timeout=120.0,
        prepare=prepare,
    )


def service(layout: Layout, process: str) -> ProcessSpec:
    """One process of one of the six. Copies differ by port, log, spans and a worker's folder; credentials are the same."""
    name, port = service_of(process), layout.http_ports[process]
    needs = NEEDS[name]
    env = {
        "SWITCHBOARD_HTTP__HOST": "127.0.0.1",
        "SWITCHBOARD_HTTP__PORT": str(port),
        "SWITCHBOARD_TELEMETRY__LOG_LEVEL": "info",
        "SWITCHBOARD_TELEMETRY__SPANS_FILE": str(layout.folder / "spans" / f"{process}.jsonl"),
        # Sound libraries and caches of espeak-ng's process stay below the fleet's folder.
        "PULSE_RUNTIME_PATH": str(layout.folder / "pulse"),
        "PULSE_STATE_PATH": str(layout.folder / "pulse"),
        **temporary(layout),
    }
    for part in needs:
        env |= fragment(layout, name, part)
    if name == "voice-agent":
        env["SWITCHBOARD_WORKER__STATE"] = str(layout.folder / process)
    if name == "voice-agent" and layout.programs is not None:
        env["PATH"] = f"{layout.programs}:{os.environ['PATH']}"
    if layout.emulated is not None:
        env |= layout.emulated.environment(name)
    # The voice agent's jobs speak to the bus only when a call comes, and it takes longest to start.
    after = [layout.nats.spec.name, *([] if name == "voice-agent" else [TOPOLOGY])]
    if "database" in needs:
        after += [layout.postgres.spec.name, MIGRATE]
    if "redis" in needs:
        after.append(layout.redis_app.spec.name)
    if "livekit" in needs:
        after.append(layout.livekit.spec.name)
    if "mail" in needs:
        after.append(layout.mailbox.spec.name)
    return ProcessSpec(
        name=process,
        argv=(sys.executable, "-m", MODULES[name]),
        env=env,
        ready=http_ok(f"{layout.url(process)}/health/ready"),
        ready_timeout=90.0,
        grace=GRACE,
        after=tuple(after),
        prepare=lambda: (layout.folder / "spans").mkdir(exist_ok=True),
    )


def temporary(layout: Layout) -> dict[str, str]:
    """Temporary files below the fleet's folder too, unless unix sockets there would have too long a name (108 bytes)."""
    folder = layout.folder / "tmp"
    if len(str(folder)) > LONGEST_TEMPORARY:
        return {}
    folder.mkdir(exist_ok=True)
    return {"TMPDIR": str(folder)}


def fragment(layout: Layout, name: str, part: str) -> dict[str, str]:
    """The variables of one group of settings, with this service's own credentials."""
    secrets = layout.secrets
    role = name.replace("-", "_")
    groups = {
        "nats": {"URL": layout.nats.url, "USER": name, "PASSWORD": secrets.nats[name]},
        "sealing": {"MASTER_KEY": secrets.master_key},
        "livekit": {
            "URL": layout.livekit.url,
            "API_KEY": layout.livekit.api_key,
            "API_SECRET": layout.livekit.api_secret,
        },
        "blobs": {"URL": f"file://{layout.folder / 'blobs'}"},
        "database": {"DSN": layout.postgres.dsn(DATABASE, role, secrets.roles.get(role, ""))},
        "redis": {"URL": layout.redis_app.url},
        "edge": {"HTTPS": "false"},
        # Everybody on this machine has one address, and tests ask often.
        "limits": {
            f"{policy}__{name}": value
            for policy, quota in LIMITS.items()
            for name, value in (("QUOTA", str(quota)), ("WINDOW_S", "60"))
        },
        "operators": {"TOKEN": secrets.operators},
        "platform": {"CARRIER_ADDRESSES": '["127.0.0.1/32"]'},
        "console": {"URL": layout.api_url},
        "mail": {
            "URL": layout.mailbox.smtp_url,
            "STARTTLS": "never",
            "SENDER": "switchboard@localhost",
        },
        "embeddings": {"MODEL_DIR": str(EMBEDDINGS.folder())},
        "speech": {"MODEL_CACHE": str(layout.folder / "speech")},
        # A fleet on one machine is stopped by somebody who waits for it: calls get a few seconds, not an hour.
        "worker": {
            "MAX_CALLS": str(CALLS_AT_ONCE),
            "IDLE_PROCESSES": "1",
            "DRAIN_TIMEOUT_S": "15",
        },
    }
    return {f"SWITCHBOARD_{part.upper()}__{key}": value for key, value in groups[part].items()}


async def ensure_database(dsn: str, name: str) -> None:
    """Makes the database unless it is there."""
    connection = await asyncpg.connect(dsn)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
