"""Composition root: settings, resources, application."""

from __future__ import annotations

from fastapi import FastAPI
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.contracts.base import Service as ServiceName
from switchboard.errors import Unavailable
from switchboard.service import Service, run
from switchboard.settings import load_or_exit

from api_gateway.access.proxies import Proxies
from api_gateway.app import create_app
from api_gateway.cursors import Cursors
from api_gateway.limits.limiter import Limiter
from api_gateway.limits.middleware import Limits
from api_gateway.limits.policies import Policies, secret_of
from api_gateway.limits.shared import SharedLimits
from api_gateway.resources import Resources
from api_gateway.settings import Settings
from api_gateway.webhooks.verification import LiveKitVerifier

_REDIS_CONNECT_S = 1.0


async def compose(service: Service[Settings]) -> FastAPI:
    """The gateway can't do anything without the bus, everything but uploads without the blob store, and
    everything without Redis, with stricter limits."""
    settings = service.settings
    # Anybody can send a traceparent to a public address; ours begin here.
    service.trust_inbound_trace = False

    bus = await Bus.connect(
        settings.nats,
        settings.sealing,
        ServiceName.API_GATEWAY,
        clock=service.clock,
        on_closed=lambda: None if service.stopping.is_set() else service.fatal("the bus is closed for good"),
    )
    service.on_close(bus.drain)
    blobs = Blobs.open(settings.blobs)

    async def bus_is_there() -> None:
        if not bus.is_connected:
            raise Unavailable("the bus is away")

    service.health.required("bus", bus_is_there)
    service.health.degradable("blobs", blobs.ready)
    limiter = Limiter(
        SharedLimits(
            settings.redis.url.get_secret_value(), prefix=settings.limits.prefix, connect_timeout_s=_REDIS_CONNECT_S
        ),
        service.clock,
        service.metrics,
        deadline_s=settings.limits.deadline_ms / 1000,
        divisor=settings.limits.local_divisor,
    )
    service.on_close(limiter.close)
    service.health.degradable("redis-app", limiter.ready)
    proxies = Proxies.of(settings.proxies.trusted, settings.proxies.header)
    limits = Limits(limiter, Policies.of(settings.limits), proxies, secret_of(settings.sealing))
    verifier = LiveKitVerifier(settings.livekit.api_key, settings.livekit.api_secret.get_secret_value())
    cursors, console = Cursors.of(settings.sealing), settings.console.url
    made = Resources(bus, blobs, verifier, limits, proxies, cursors, service.clock, service.stopping, console)
    return create_app(made, https=settings.edge.https)


def main() -> None:
    run(ServiceName.API_GATEWAY.value, load_or_exit(Settings), compose)
