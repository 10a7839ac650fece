"""A fleet's broker seen by its operators: the user who declares streams and reads dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from pydantic import SecretStr
from switchboard.bus.connection import connect
from switchboard.bus.permissions import TOPOLOGY_USER
from switchboard.settings import NatsSettings

from fleet.layout import Layout


def operators(layout: Layout) -> NatsSettings:
    """How they connect."""
    password = SecretStr(layout.secrets.nats[TOPOLOGY_USER])
    return NatsSettings(url=layout.nats.url, user=TOPOLOGY_USER, password=password)


@asynccontextmanager
async def broker(settings: NatsSettings) -> AsyncIterator[Client]:
    """A connection of the topology's user."""
    made = await connect(settings, name="operators", inbox=f"_INBOX_{TOPOLOGY_USER}")
    try:
        yield made
    finally:
        await made.close()
