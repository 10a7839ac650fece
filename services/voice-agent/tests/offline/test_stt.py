"""The ear as a livekit STT."""

import asyncio

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import stt
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.language_model import SpeechModel
from voice_agent.offline.sound import Samples, resample
from voice_agent.offline.stt import OfflineSTT

pytestmark = pytest.mark.integration
ASKED = "how much is a velora peel"
Kind = stt.SpeechEventType


def frames(samples: Samples, rate: int) -> list[rtc.AudioFrame]:
    size = rate // 20
    return [
        rtc.AudioFrame(samples[at : at + size].tobytes(), rate, 1, size)
        for at in range(0, len(samples) - size + 1, size)
    ]


async def test_a_stream_finds_decodes_and_ends_utterances(
    speech_model: SpeechModel, question: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The audio comes faster than it would be spoken: the child is behind and may take its time over an interim, and
    # the end of the input, which flushes, is known long before the first utterance is heard.
    monkeypatch.setattr("voice_agent.offline.ear._INTERIM_PATIENCE", 30.0)
    results: list[Hypotheses] = []
    ears = OfflineSTT(model=speech_model, on_heard=results.append)
    await ears.warm()
    quiet = np.zeros(16_000, np.int16)
    audio = resample(np.concatenate([quiet, question, quiet, question, quiet]), 16_000, 24_000)
    stream = ears.stream()
    for frame in frames(audio, 24_000):
        stream.push_frame(frame)
        await asyncio.sleep(0)
    stream.end_input()
    events = [event async for event in stream]
    await stream.aclose()
    await ears.aclose()
    kinds = [event.type for event in events]
    assert (
        kinds.count(Kind.START_OF_SPEECH) == kinds.count(Kind.END_OF_SPEECH) == kinds.count(Kind.FINAL_TRANSCRIPT) == 2
    )
    first_end = kinds.index(Kind.END_OF_SPEECH)
    assert kinds[first_end - 1] == Kind.FINAL_TRANSCRIPT
    assert Kind.INTERIM_TRANSCRIPT in kinds[:first_end]
    finals = [event for event in events if event.type == Kind.FINAL_TRANSCRIPT]
    assert [final.alternatives[0].text for final in finals] == [ASKED, ASKED]
    assert len(finals[0].alternatives) > 1
    assert finals[0].alternatives[0].confidence > 0.7
    assert 0.9 < finals[0].alternatives[0].start_time < 2.0 < finals[0].alternatives[0].end_time < 4.0
    carried = finals[0].alternatives[0].metadata
    assert carried is not None
    assert Hypotheses.from_json(carried["hypotheses"]) == results[0]
    assert [heard.text for heard in results] == [ASKED, ASKED]


async def test_a_flush_ends_the_utterance_at_once(speech_model: SpeechModel, question: Samples) -> None:
    ears = OfflineSTT(model=speech_model, end_silence=30.0, manual_flush=True)
    stream = ears.stream()
    pushed = frames(question, 16_000)
    for frame in pushed:
        stream.push_frame(frame)
    seen: list[stt.SpeechEvent] = []

    async def read() -> None:
        async for event in stream:
            seen.append(event)
            if event.type == Kind.START_OF_SPEECH:
                stream.flush()
                for frame in pushed[-4:]:
                    stream.push_frame(frame)
            if event.type == Kind.END_OF_SPEECH:
                return

    await asyncio.wait_for(read(), 60)
    assert Kind.FINAL_TRANSCRIPT in [event.type for event in seen]
    await stream.aclose()


async def test_a_whole_recording(speech_model: SpeechModel, question: Samples) -> None:
    ears = OfflineSTT(model=speech_model)
    event = await ears.recognize(frames(question, 16_000))
    assert event.alternatives[0].text == ASKED
    await ears.aclose()


async def test_who_goes_on_after_a_flush_is_heard(speech_model: SpeechModel, question: Samples) -> None:
    """The detector has not said that the speech was over, so it won't say that it begins again."""
    ears = OfflineSTT(model=speech_model, end_silence=30.0, manual_flush=True)
    stream = ears.stream()
    finals: list[str] = []
    both = asyncio.Event()

    async def read() -> None:
        async for event in stream:
            if event.type == Kind.FINAL_TRANSCRIPT:
                finals.append(event.alternatives[0].text)
                both.set()

    reader = asyncio.create_task(read())
    quiet = np.zeros(16_000 // 4, np.int16)
    for _ in range(2):
        both.clear()
        for frame in frames(np.concatenate([question, quiet]), 16_000):
            stream.push_frame(frame)
        stream.flush()
        for frame in frames(quiet, 16_000):
            stream.push_frame(frame)
        await asyncio.wait_for(both.wait(), 60)
    assert finals == [ASKED, ASKED]
    reader.cancel()
    await stream.aclose()
    await ears.aclose()
