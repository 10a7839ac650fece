"""Composition root: settings, resources, application."""

from __future__ import annotations

from fastapi import FastAPI
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.contracts.base import Service as ServiceName
from switchboard.errors import Unavailable
from switchboard.service import Service, run
from switchboard.settings import load_or_exit

from api_gateway.app import create_app
from api_gateway.resources import Resources
from api_gateway.settings import Settings
from api_gateway.webhooks.verification import LiveKitVerifier


async def compose(service: Service[Settings]) -> FastAPI:
    """The gateway can't do anything without the bus, and everything but uploads without the blob store."""
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
    verifier = LiveKitVerifier(settings.livekit.api_key, settings.livekit.api_secret.get_secret_value())
    return create_app(Resources(bus, blobs, verifier, service.clock, service.stopping))


def main() -> None:
    run(ServiceName.API_GATEWAY.value, load_or_exit(Settings), compose)
