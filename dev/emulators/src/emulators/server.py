"""The process: all protocols on one port by path, the operator's face on another."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import web
from switchboard.clock import Clock, SystemClock
from switchboard.embeddings import MiniLm

from emulators.admin import Admin
from emulators.behaviour import Behaviours
from emulators.context import Context
from emulators.hearing import Hearing
from emulators.protocols import openai_errors
from emulators.protocols.cartesia import Cartesia
from emulators.protocols.deepgram import Listen
from emulators.protocols.elevenlabs import ElevenLabs
from emulators.protocols.openai_chat import Chat
from emulators.protocols.openai_embeddings import Embeddings
from emulators.protocols.openai_speech import Speech
from emulators.record import Record
from emulators.speech import Voices

HOST = "127.0.0.1"
_LARGEST = 16 << 20
"""Bytes of a request: 2,048 passages to embed."""


@dataclass(frozen=True)
class Config:
    """`port` and `admin_port` 0: any free one."""

    key: str
    embeddings: Path
    cache: Path
    port: int = 0
    admin_port: int = 0
    seed: int = 1


@web.middleware
async def _unknown_paths(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return openai_errors.no_such_path(request).response("req_unknown")


class Emulators:
    """An async context manager: leaving it ends every connection."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._leaving = contextlib.AsyncExitStack()
        self.port = 0
        self.admin_port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.admin_port}"

    async def __aenter__(self) -> Self:
        config = self._config
        behaviours, record, voices = Behaviours(), Record(self._clock), Voices()
        context = Context(config.key, behaviours, record, self._clock, random.Random(config.seed))
        model = await asyncio.to_thread(MiniLm.open, config.embeddings)
        self._leaving.callback(model.close)
        hearing = Hearing(cache=config.cache)
        self._leaving.push_async_callback(hearing.close)
        await hearing.start()
        faces = web.Application(middlewares=[_unknown_paths], client_max_size=_LARGEST)
        for protocol in (
            Chat(context),
            Embeddings(context, model),
            Speech(context, voices),
            Listen(context, hearing),
            ElevenLabs(context, voices),
            Cartesia(context, voices),
        ):
            faces.add_routes(protocol.routes())
        self.port = await self._serve(faces, config.port)
        admin = web.Application(client_max_size=_LARGEST)
        admin.add_routes(Admin(behaviours, record, hearing, voices).routes())
        self.admin_port = await self._serve(admin, config.admin_port)
        return self

    async def _serve(self, application: web.Application, port: int) -> int:
        # a stalled request ends when its client goes, and no request keeps the process from ending
        runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._leaving.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        return int(runner.addresses[0][1])

    async def __aexit__(self, *_: object) -> None:
        await self._leaving.aclose()
