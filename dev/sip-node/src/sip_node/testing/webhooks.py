"""Receives LiveKit's webhooks on a port of the test's own, in the order they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from livekit import api
from livekit.protocol import models

_KINDS: Final = {0: "standard", 3: "sip", 4: "agent"}


class WebhookReceiver:
    """`events` are (event, whose): whose kind of participant, "" for the room's own."""

    def __init__(self, key: str, secret: str) -> None:
        self._receiver = api.WebhookReceiver(api.TokenVerifier(key, secret))
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()
        self._kinds: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self.reasons: list[str] = []

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1. Raises OSError when the port is taken."""
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait_for(self, wanted: Callable[[list[tuple[str, str]]], bool], timeout: float = 15.0) -> None:
        """Until `wanted(events)`. Raises TimeoutError naming the events seen."""
        try:
            async with asyncio.timeout(timeout):
                while not wanted(self.events):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not received in {timeout} s; received: {self.events}") from None

    def of(self, whose: str) -> list[str]:
        """The events about participants of one kind."""
        return [event for event, kind in self.events if kind == whose]

    async def _take(self, request: web.Request) -> web.Response:
        # A body that isn't LiveKit's own is an error of the test's, and raises here.
        event: Any = self._receiver.receive(await request.text(), request.headers["Authorization"])
        kind, who = "", event.participant.identity
        if event.HasField("participant"):
            # The events of tracks name the participant but not its kind.
            if event.event == "participant_joined":
                self._kinds[who] = _KINDS.get(event.participant.kind, "other")
            kind = self._kinds.get(who, "unknown")
        self.events.append((event.event, kind))
        if event.event == "participant_left" and kind == "sip":
            self.reasons.append(_reason(event.participant.disconnect_reason))
        self._changed.set()
        return web.Response()


def _reason(number: int) -> str:
    return str(models.DisconnectReason.Name(number))
