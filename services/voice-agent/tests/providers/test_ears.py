"""A provider's ear over the real plugin, and the chain when it fails: the same words, once, from whoever could hear them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from emulators.behaviour import FaultKind
from emulators.client import EmulatorsClient
from emulators.testing import Models
from livekit import rtc
from livekit.agents import inference, stt
from switchboard.contracts.providers import OFFLINE
from voice_agent.adapters.offline_links import OfflineEar
from voice_agent.adapters.plugins import DeepgramEar
from voice_agent.chains.stt import END_SILENCE, RATE, ChainedSTT
from voice_agent.offline.language_model import build_language_model
from voice_agent.offline.sound import Samples
from voice_agent.offline.stt import OfflineSTT

pytestmark = pytest.mark.integration

TEXTS = (
    "# Price list\n| Treatment | Price |\n|---|---|\n| Velora peel | $129 |\n| Deep tissue massage | $95 |\n",
    "Q: Where can I park?\nA: Parking is free behind the building.\n",
)
Kind = stt.SpeechEventType
TWENTY_MS = RATE // 50


@pytest_asyncio.fixture
async def offline(emulator_models: Models, admin: EmulatorsClient) -> Any:
    model = await asyncio.to_thread(build_language_model, TEXTS, names=["Harbor Clinic"])
    ear = OfflineSTT(model=model)
    await ear.warm()
    await admin.teach(TEXTS, names=["Harbor Clinic"])
    yield ear
    await ear.aclose()


class Caller:
    """Speaks into a chain at the pace of speech, and keeps what it understood."""

    def __init__(self, chain: ChainedSTT) -> None:
        self.chain = chain
        self.stream = chain.stream()
        self.finals: asyncio.Queue[str] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.stream:
            if event.type is Kind.FINAL_TRANSCRIPT:
                self.finals.put_nowait(event.alternatives[0].text.lower().strip("?. "))

    async def say(self, audio: Samples, *, silence: float = 1.0) -> None:
        whole = np.concatenate([audio, np.zeros(int(RATE * silence), np.int16)])
        loop = asyncio.get_running_loop()
        due = loop.time()
        for at in range(0, len(whole) - TWENTY_MS + 1, TWENTY_MS):
            self.stream.push_frame(rtc.AudioFrame(whole[at : at + TWENTY_MS].tobytes(), RATE, 1, TWENTY_MS))
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def understood(self) -> str:
        async with asyncio.timeout(20):
            return await self.finals.get()

    async def aclose(self) -> None:
        await self.stream.aclose()
        await self._reader
        await self.chain.aclose()


def chain_of(link: Any, offline: OfflineSTT, **options: Any) -> ChainedSTT:
    detector = inference.VAD(min_speech_duration=0.05, min_silence_duration=END_SILENCE, prefix_padding_duration=0.4)
    return ChainedSTT([DeepgramEar(*link("deepgram", **options)), OfflineEar(offline)], detector)


async def test_a_provider_hears_each_question_once(
    link: Any, offline: OfflineSTT, said: Callable[[str], Samples], admin: EmulatorsClient
) -> None:
    caller = Caller(chain_of(link, offline, deadline=8.0))
    await caller.say(np.zeros(RATE // 2, np.int16), silence=0)
    await caller.say(said("how much is a velora peel"), silence=1.5)
    assert await caller.understood() == "how much is a velora peel"
    await caller.say(said("where can i park"), silence=1.5)
    assert await caller.understood() == "where can i park"
    assert caller.finals.empty()
    assert caller.chain.take_faults() == ()
    assert (await admin.asked("deepgram")).refused == 0
    await caller.aclose()


@pytest.mark.parametrize(
    ("fault", "named"),
    [("stall", {"timeout"}), ("reset", {"reset"}), ("half", {"cut_off"}), ("rate_limited", {"reset", "refused"})],
)
async def test_what_a_provider_did_not_hear_the_offline_ear_hears_once(
    fault: FaultKind, named: set[str], link: Any, offline: OfflineSTT, said: Callable[[str], Samples], admin: Any
) -> None:
    """The connection is open and the fault strikes what is said on it; the next question does not wait for it."""
    caller = Caller(chain_of(link, offline, deadline=1.2))
    await caller.say(np.zeros(RATE, np.int16), silence=0)
    await admin.fault("deepgram", fault)
    await caller.say(said("how much is a velora peel"), silence=3.0)
    assert await caller.understood() == "how much is a velora peel"
    faults = caller.chain.take_faults()
    assert [(f.stage, f.endpoint, f.served_by) for f in faults] == [("stt", "deepgram-main", OFFLINE)]
    assert faults[0].fault in named
    await caller.say(said("where can i park"), silence=2.0)
    assert await caller.understood() == "where can i park"
    assert caller.finals.empty()
    assert caller.chain.take_faults() == ()
    await caller.aclose()


async def test_a_wrong_key_is_refused_before_anybody_speaks(
    link: Any, offline: OfflineSTT, said: Callable[[str], Samples]
) -> None:
    caller = Caller(chain_of(link, offline, key="wrong"))
    await caller.say(np.zeros(RATE // 2, np.int16), silence=0)
    await caller.say(said("how much is a velora peel"), silence=2.0)
    assert await caller.understood() == "how much is a velora peel"
    assert [f.fault for f in caller.chain.take_faults()] == ["refused"]
    await caller.aclose()


async def test_silence_and_a_knock_are_no_fault(link: Any, offline: OfflineSTT) -> None:
    """The provider answers a flush with nothing; that is an answer."""
    caller = Caller(chain_of(link, offline, deadline=1.2))
    noise = np.random.default_rng(1).integers(-9000, 9000, RATE // 4).astype(np.int16)
    await caller.say(np.zeros(RATE // 2, np.int16), silence=0)
    await caller.say(noise, silence=3.0)
    assert caller.chain.take_faults() == ()
    await caller.aclose()
