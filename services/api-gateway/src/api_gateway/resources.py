"""What the endpoints work with, made by the composition root."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.clock import Clock

from api_gateway.access.proxies import Proxies
from api_gateway.cursors import Cursors
from api_gateway.limits.middleware import Limits
from api_gateway.webhooks.verification import LiveKitVerifier


class Slots:
    """Counts users of something that only so many may use at once."""

    def __init__(self, size: int) -> None:
        self._free = size

    def take(self) -> bool:
        """Whether there was a place; a taken one is given back with :meth:`give_back`."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        self._free += 1


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that tests shorten."""

    keep_alive_s: float = 15.0
    """Between two signs of life on a silent event stream."""
    stream_s: float = 900.0
    """An event stream ends after this and is opened again by its reader, whose key is checked anew then."""
    upload_s: float = 120.0
    """The whole body of an upload must have come by then."""


@dataclass(frozen=True, slots=True)
class Resources:
    """One per process."""

    bus: Bus
    blobs: Blobs
    livekit: LiveKitVerifier
    limits: Limits
    proxies: Proxies
    cursors: Cursors
    clock: Clock
    stopping: asyncio.Event
    """Set when the process drains: event streams end then."""
    console: str
    """The origin that browsers' requests come from."""
    entropy: Callable[[int], bytes] = secrets.token_bytes
    pace: Pace = Pace()
    uploads: Slots = field(default_factory=lambda: Slots(4))
    """Each holds a document in memory, in clear and sealed."""
    listeners: Slots = field(default_factory=lambda: Slots(200))


def resources(request: Request) -> Resources:
    found = request.app.state.resources
    assert isinstance(found, Resources)
    return found
