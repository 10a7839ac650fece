"""Which ear, brain and voice a call gets; what a call without a choice does not pay for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from livekit.agents.utils import http_context
from switchboard.bus import Bus
from switchboard.clock import ManualClock
from switchboard.contracts.providers import OFFLINE, ProviderChains
from switchboard.contracts.snapshot import AgentConfiguration, TenantSnapshot, TenantStatus
from switchboard.settings import ProviderEndpoint, ProviderSettings
from voice_agent.adapters.offline_brain import OfflineBrain
from voice_agent.adapters.plugins import Connections, deepgram_address, elevenlabs_address
from voice_agent.chains.stt import ChainedSTT
from voice_agent.chains.tts import ChainedTTS
from voice_agent.drivers.room import Providers
from voice_agent.llm.brain import LlmBrain
from voice_agent.offline.stt import OfflineSTT
from voice_agent.offline.voice import OfflineTTS
from voice_agent.ports import Retriever
from voice_agent.providers import CHAIN_PATIENCE, DEADLINES, SpeechProviders
from voice_agent.settings import SpeechSettings

pytestmark = pytest.mark.unit

CLOCK = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
ENDPOINTS = {
    "main": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"},
    "ear": {"kind": "deepgram", "base_url": "http://127.0.0.1:9", "api_key": "k"},
    "voice": {"kind": "cartesia", "base_url": "http://127.0.0.1:9", "api_key": "k"},
}


def snapshot(**chains: Any) -> TenantSnapshot:
    return TenantSnapshot(
        tenant_id=uuid.uuid4(),
        version=1,
        published_at=CLOCK.now(),
        status=TenantStatus.LIVE,
        name="Harbour Clinic",
        time_zone="UTC",
        agent=AgentConfiguration(providers=ProviderChains.model_validate(chains)),
    )


class NoTexts(SpeechProviders):
    """Without a bus to ask for the tenant's words."""

    async def _model(self, *_: object) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
async def speech(tmp_path: Path) -> AsyncIterator[SpeechProviders]:
    settings = SpeechSettings.model_validate({"model_cache": tmp_path})
    yield NoTexts(settings, ProviderSettings.model_validate({"endpoints": ENDPOINTS}))
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def chosen(speech: SpeechProviders, **chains: Any) -> Providers:
    return speech.for_call(cast("Bus", None), snapshot(**chains))


async def test_without_a_choice_there_is_no_chain(speech: SpeechProviders) -> None:
    made = chosen(speech)
    assert isinstance(made.stt, OfflineSTT)
    assert isinstance(made.tts, OfflineTTS)
    assert made.close is None
    brain = speech.brain(snapshot(), CLOCK, cast("Retriever", None))
    assert isinstance(brain, OfflineBrain)


async def test_the_offline_pipeline_is_always_the_last_link(speech: SpeechProviders) -> None:
    made = chosen(
        speech, stt=[{"endpoint": "ear"}], tts=[{"endpoint": "main"}, {"endpoint": "voice", "deadline_ms": 300}]
    )
    assert isinstance(made.stt, ChainedSTT)
    assert isinstance(made.tts, ChainedTTS)
    assert [link.endpoint for link in made.stt.links] == ["ear", OFFLINE]
    assert [link.endpoint for link in made.tts.links] == ["main", "voice", OFFLINE]
    assert [link.deadline for link in made.tts.links][:2] == [DEADLINES["tts"], 0.3]
    # The caller is not asked to repeat while another ear still listens to what they said.
    assert made.no_words_after == CHAIN_PATIENCE > DEADLINES["stt"]
    assert made.close is not None
    await made.close()
    brain = speech.brain(snapshot(llm=[{"endpoint": "main"}]), CLOCK, cast("Retriever", None))
    assert isinstance(brain, LlmBrain)
    await brain.aclose()


async def test_what_cannot_be_used_is_left_out_and_offline_ends_a_chain(speech: SpeechProviders) -> None:
    made = chosen(
        speech,
        stt=[{"endpoint": "gone"}, {"endpoint": "main"}],
        tts=[{"endpoint": OFFLINE}, {"endpoint": "voice"}],
    )
    assert isinstance(made.stt, OfflineSTT)
    assert isinstance(made.tts, OfflineTTS)


def test_addresses_may_end_where_people_end_them() -> None:
    assert deepgram_address("https://x") == "https://x/v1/listen"
    assert deepgram_address("https://x/v1") == "https://x/v1/listen"
    assert deepgram_address("https://x/v1/listen") == "https://x/v1/listen"
    assert elevenlabs_address("https://x") == elevenlabs_address("https://x/v1") == "https://x/v1"


async def test_a_client_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "https://elsewhere.example")
    wires = Connections(http_context._create_ssl_context())
    client = wires.openai(ProviderEndpoint.model_validate(ENDPOINTS["main"]))
    assert str(client.base_url) == "http://127.0.0.1:9/v1/"
    assert client.api_key == "k"
    assert not {"OpenAI-Organization", "OpenAI-Project"} & {
        name for name, value in client.default_headers.items() if isinstance(value, str)
    }
    await wires.aclose()


def test_a_worker_without_endpoints_loads_no_client() -> None:
    """They would cost each start a second."""
    code = (
        "import os, sys; os.environ['OPENAI_API_KEY'] = 'x'; import voice_agent.worker; "
        "found = [name for name in sys.modules if name.startswith('livekit.plugins')]; "
        "print(found, 'OPENAI_API_KEY' in os.environ)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[] False"
