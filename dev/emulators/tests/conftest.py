"""The running emulators, and the clients that the product uses: openai's own and the livekit plugins."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest_asyncio
from emulators.server import Emulators
from emulators.testing import KEY, admin, emulator_models, emulators

__all__ = ["admin", "emulator_models", "emulators"]


@pytest_asyncio.fixture
async def client(emulators: Emulators) -> AsyncIterator[openai.AsyncOpenAI]:
    """Without retries: each request is one."""
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{emulators.url}/v1", max_retries=0) as made:
        yield made


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """For the plugins that open WebSockets."""
    async with aiohttp.ClientSession() as session:
        yield session
