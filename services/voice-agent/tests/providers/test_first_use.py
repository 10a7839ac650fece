"""The first call of a job process loads nothing: what the providers' clients are made of is there before."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration
"""A process of its own, and a refused connection."""

FIRST_USE = """
import asyncio, sys
import voice_agent.worker
from voice_agent.adapters.plugins import Connections, DeepgramEar, PluginChat, voice
from livekit.agents.utils import http_context
from switchboard.contracts.providers import ProviderChoice
from switchboard.settings import ProviderEndpoint

def endpoint(kind):
    return ProviderEndpoint.model_validate({"kind": kind, "base_url": "http://127.0.0.1:1/v1", "api_key": "k"})

async def use():
    choice, wires = ProviderChoice(endpoint="main"), Connections(http_context._create_ssl_context())
    chat = PluginChat(choice, endpoint("openai"), 1.0, wires)
    speech = voice(choice, endpoint("elevenlabs"), 1.0, wires)
    for answer in (chat.chat([("user", "Hi.")], may_search=True), speech.speak("Hi.")):
        try:
            await anext(answer)
        except Exception as error:
            print("refused:", type(error).__name__, file=sys.stderr)
    DeepgramEar(choice, endpoint("deepgram"), 1.0, wires)
    await wires.aclose()

before = set(sys.modules)
asyncio.run(use())
print(*sorted(set(sys.modules) - before))
"""


def test_nothing_is_loaded_by_the_first_use_of_a_provider() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr.count("refused: APIConnectionError") == 2, done.stderr
    assert done.stdout.strip() == ""
