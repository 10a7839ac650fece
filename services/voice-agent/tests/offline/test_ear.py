"""The ear with a real child process."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from voice_agent.offline.ear import Ear, EarCrashed, EarFailure, EarRefused, EarStuck
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.language_model import SpeechModel
from voice_agent.offline.sound import EAR_RATE, Samples, resample

pytestmark = pytest.mark.integration
ASKED = "how much is a velora peel"


async def loaded(model: SpeechModel, *, timeout: float = 10.0) -> Ear:
    ear = Ear(timeout=timeout)
    await ear.load(model)
    return ear


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_it_hears_while_the_caller_speaks(speech_model: SpeechModel, question: Samples) -> None:
    ear = await loaded(speech_model)
    pid = ear.pid
    assert pid is not None
    interims = []
    await ear.start()
    for at in range(0, len(question), 3200):
        await ear.feed(question[at : at + 3200])
        interims.append(await ear.interim())
    heard = await ear.finish()
    assert heard.text == ASKED
    assert any(text and text != ASKED and ASKED.startswith(text[:8]) for text in interims)
    assert heard.confidence > 0.7
    assert len(heard.alternatives) > 1
    assert heard.duration == pytest.approx(len(question) / 16_000)
    assert Hypotheses.from_json(heard.to_json()) == heard
    await ear.aclose()
    assert gone(pid)


async def test_other_rates_are_resampled(speech_model: SpeechModel, question: Samples) -> None:
    ear = await loaded(speech_model)
    await ear.start()
    faster = resample(question, 16_000, 24_000)
    for at in range(0, len(faster), 1200):
        await ear.feed(faster[at : at + 1200].tobytes(), rate=24_000)
    assert (await ear.finish()).text == ASKED
    await ear.aclose()


async def test_silence_and_nothing_are_empty(speech_model: SpeechModel) -> None:
    ear = await loaded(speech_model)
    assert await ear.finish() == Hypotheses()
    await ear.start()
    assert await ear.finish() == Hypotheses()
    await ear.start()
    await ear.feed(np.zeros(16_000, np.int16))
    assert (await ear.finish()).confidence < 0.5
    await ear.start()
    await ear.reset()
    with pytest.raises(EarRefused, match="start"):
        await ear.feed(b"\0\0")
    await ear.aclose()


async def test_decoding_leaves_the_event_loop_free(speech_model: SpeechModel, question: Samples) -> None:
    """In this process the decoder would hold the interpreter's lock, and the loop would turn a handful of times."""
    ear = await loaded(speech_model, timeout=60)
    await ear.start()
    await ear.feed(np.tile(question, 8))
    answer = asyncio.create_task(ear.finish())
    turns = 0
    while not answer.done():
        await asyncio.sleep(0.002)
        turns += 1
    assert turns > 10
    assert (await answer).duration > 2
    await ear.aclose()


async def test_a_child_killed_in_mid_utterance_is_replaced(speech_model: SpeechModel, question: Samples) -> None:
    ear = await loaded(speech_model)
    first = ear.pid
    assert first is not None
    await ear.start()
    await ear.feed(question[:20_000])
    os.kill(first, signal.SIGKILL)
    await ear.feed(question[20_000:])
    heard = await ear.finish()
    assert heard.text == ASKED
    assert ear.pid not in (None, first)
    assert [type(failure) for failure in ear.failures] == [EarCrashed]
    await ear.aclose()


async def test_a_stuck_child_is_replaced(speech_model: SpeechModel, question: Samples) -> None:
    ear = await loaded(speech_model, timeout=3.0)
    stuck = ear.pid
    assert stuck is not None
    await ear.start()
    os.kill(stuck, signal.SIGSTOP)
    await ear.feed(question)
    assert (await ear.finish()).text == ASKED
    assert [type(failure) for failure in ear.failures] == [EarStuck]
    assert gone(stuck)
    await ear.aclose()


async def test_the_call_goes_on_after_a_failure_that_no_replacement_mends(
    speech_model: SpeechModel, question: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = await loaded(speech_model)
    assert ear.pid is not None
    await ear.start()
    os.kill(ear.pid, signal.SIGKILL)
    with monkeypatch.context() as patch:
        patch.setattr("voice_agent.offline.ear.sys.executable", "/bin/false")
        with pytest.raises(EarFailure):
            await ear.finish()
    await ear.start()
    await ear.feed(question)
    assert (await ear.finish()).text == ASKED
    await ear.aclose()


async def test_a_model_that_cannot_be_loaded_is_refused(speech_model: SpeechModel) -> None:
    ear = Ear()
    with pytest.raises(EarRefused, match="ZZ"):
        await ear.load(replace(speech_model, dictionary=b"velora ZZ\n"))
    assert ear.pid is None
    with pytest.raises(EarRefused, match="load"):
        await Ear().start()


@pytest.mark.parametrize("name", ["silence", "noise", "tones", "half a minute of speech", "odd pieces"])
async def test_it_outlives_whatever_a_line_carries(speech_model: SpeechModel, question: Samples, name: str) -> None:
    time, dice = np.arange(5 * EAR_RATE) / EAR_RATE, np.random.default_rng(1)
    tones = 6000 * (np.sin(2 * np.pi * 770 * time) + np.sin(2 * np.pi * 1336 * time)) * (time % 0.2 < 0.1)
    sounds = {
        "silence": np.zeros(5 * EAR_RATE),
        "noise": dice.normal(0, 3000, 5 * EAR_RATE),
        "tones": tones,
        "half a minute of speech": np.tile(question, 1 + 30 * EAR_RATE // len(question)),
        "odd pieces": question[:12_345],
    }
    ear = await loaded(speech_model)
    await ear.start()
    line = sounds[name].astype(np.int16)
    for at in range(0, len(line), 777):
        await ear.feed(line[at : at + 777])
    heard = await ear.finish()
    assert heard.duration == pytest.approx(len(line) / EAR_RATE)
    if name in ("silence", "noise"):
        assert heard.confidence < 0.5
    await ear.start()
    await ear.feed(question)
    assert (await ear.finish()).text == ASKED
    assert not ear.failures
    await ear.aclose()
