"""The voices of providers over the real plugins, and the chain when they fail."""

from __future__ import annotations

from typing import Any

import pytest
from emulators.behaviour import FaultKind
from emulators.client import EmulatorsClient
from livekit import rtc
from switchboard.contracts.providers import OFFLINE, ProviderKind
from voice_agent.adapters.offline_links import OfflineVoice
from voice_agent.adapters.plugins import voice
from voice_agent.chains.tts import RATE, ChainedTTS
from voice_agent.conversation import phrases
from voice_agent.drivers.speech_account import SpeechAccount, speech_account
from voice_agent.offline.voice import VoiceSettings

pytestmark = pytest.mark.integration

FACES: dict[ProviderKind, str] = {"openai": "speech", "elevenlabs": "elevenlabs", "cartesia": "cartesia"}
FIRST = "A Velora peel costs one hundred and twenty nine dollars at our clinic."
SECOND = "Would you like to know anything else about it?"


async def spoken(chain: ChainedTTS, *texts: str) -> tuple[float, SpeechAccount]:
    """Seconds of audio for ``texts``, pushed one after the other, and the account of it."""
    account = SpeechAccount()
    token = speech_account.set(account)
    try:
        stream = chain.stream()
    finally:
        speech_account.reset(token)
    for text in texts:
        stream.push_text(f"{text} ")
    stream.end_input()
    frames: list[rtc.AudioFrame] = []
    async with stream:
        async for audio in stream:
            assert audio.frame.sample_rate == RATE
            frames.append(audio.frame)
    return sum(frame.duration for frame in frames), account


def chain_of(link: Any, kind: ProviderKind, *, deadline: float = 5.0) -> ChainedTTS:
    return ChainedTTS([voice(*link(kind, deadline=deadline)), OfflineVoice(VoiceSettings(voice="en-us"))])


@pytest.mark.parametrize("kind", FACES)
async def test_each_kind_of_endpoint_speaks(kind: ProviderKind, link: Any, admin: EmulatorsClient) -> None:
    chain = chain_of(link, kind)
    seconds, account = await spoken(chain, FIRST, SECOND)
    assert 5.0 < seconds < 12.0
    assert (account.faults, account.broken, account.added) == ([], [], "")
    asked = await admin.asked(FACES[kind])  # type: ignore[arg-type]
    assert asked.requests == 2
    assert asked.refused == 0
    await chain.aclose()


@pytest.mark.parametrize("kind", FACES)
@pytest.mark.parametrize(
    ("fault", "named"),
    [("stall", {"timeout"}), ("rate_limited", {"rate_limited", "reset", "refused", "bad_answer"})],
)
async def test_a_voice_that_makes_no_sound_is_replaced(
    kind: ProviderKind, fault: FaultKind, named: set[str], link: Any, admin: EmulatorsClient
) -> None:
    await admin.fault(FACES[kind], fault)  # type: ignore[arg-type]
    chain = chain_of(link, kind, deadline=0.4)
    seconds, account = await spoken(chain, FIRST)
    assert 2.5 < seconds < 8.0
    assert [(f.stage, f.endpoint, f.served_by) for f in account.faults] == [("tts", f"{kind}-main", OFFLINE)]
    assert account.faults[0].fault in named
    assert account.heard(FIRST, interrupted=False) == FIRST
    await chain.aclose()


@pytest.mark.parametrize("kind", FACES)
@pytest.mark.parametrize("fault", ["stall", "reset", "half", "garbage"])
async def test_a_sentence_that_stops_in_the_middle_is_not_repeated(
    kind: ProviderKind, fault: FaultKind, link: Any, admin: EmulatorsClient
) -> None:
    await admin.fault(FACES[kind], fault, after=12)  # type: ignore[arg-type]
    chain = chain_of(link, kind, deadline=0.4)
    _, account = await spoken(chain, FIRST, SECOND)
    if fault == "garbage" and not account.faults:
        return  # the plugin read past it
    assert account.faults[0].endpoint == f"{kind}-main"
    assert account.added == phrases.VOICE_BROKE
    heard = account.heard(f"{FIRST} {SECOND}", interrupted=False)
    assert heard.endswith(f"{SECOND} {phrases.VOICE_BROKE}")
    assert FIRST not in heard
    assert heard.startswith("A Velora")
    await chain.aclose()


@pytest.mark.parametrize(
    # ElevenLabs says no on an open connection, in a message that the plugin doesn't connect with what it waits for.
    ("kind", "fault"),
    [("openai", "refused"), ("cartesia", "refused"), ("elevenlabs", "timeout")],
)
async def test_a_wrong_key_is_a_fault_like_others(kind: ProviderKind, fault: str, link: Any) -> None:
    chain = ChainedTTS([voice(*link(kind, deadline=1.0, key="wrong")), OfflineVoice(VoiceSettings(voice="en-us"))])
    _, account = await spoken(chain, FIRST)
    assert [f.fault for f in account.faults] == [fault]
    await chain.aclose()


async def test_a_voice_that_failed_is_not_waited_for_again(link: Any, admin: EmulatorsClient) -> None:
    await admin.fault("cartesia", "stall")
    chain = chain_of(link, "cartesia", deadline=0.4)
    await spoken(chain, FIRST)
    asked = (await admin.asked("cartesia")).requests
    _, account = await spoken(chain, SECOND)
    assert account.faults == []
    assert (await admin.asked("cartesia")).requests == asked
    await chain.aclose()
