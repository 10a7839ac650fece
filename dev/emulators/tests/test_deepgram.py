"""Deepgram's streaming transcription, as the livekit plugin speaks it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from emulators.behaviour import FaultKind
from emulators.client import EmulatorsClient
from emulators.server import Emulators
from emulators.testing import KEY
from livekit import rtc
from livekit.agents import APIConnectionError, APIError, APIStatusError, stt
from livekit.agents.types import APIConnectOptions
from livekit.plugins import deepgram
from voice_agent.offline.sound import EAR_RATE, through_telephone
from voice_agent.offline.voice import VoiceSettings, read_wav

pytestmark = pytest.mark.integration

TEXTS = ("# Price list\nVelora peel ..... $129\nDeep tissue massage ..... $95",)
ONCE = APIConnectOptions(max_retry=0, timeout=5)
TEN_MS = EAR_RATE // 100
Kind = stt.SpeechEventType


@pytest.fixture(scope="module")
def question() -> bytes:
    """ "how much is a velora peel" by telephone, half a second before and a second and a half after it."""
    command = VoiceSettings(voice="en-us").command()
    wav = subprocess.run(command, input=b"how much is a velora peel\n", capture_output=True, check=True).stdout
    samples, rate = read_wav(wav)
    said = through_telephone(samples, rate)
    return np.concatenate([np.zeros(EAR_RATE // 2, np.int16), said, np.zeros(EAR_RATE * 3 // 2, np.int16)]).tobytes()


def listener(emulators: Emulators, http: aiohttp.ClientSession, key: str = KEY, **more: Any) -> deepgram.STT:
    return deepgram.STT(api_key=key, base_url=f"{emulators.url}/v1/listen", http_session=http, **more)


def push(stream: stt.RecognizeStream, audio: bytes) -> None:
    for at in range(0, len(audio) - TEN_MS * 2, TEN_MS * 2):
        stream.push_frame(rtc.AudioFrame(audio[at : at + TEN_MS * 2], EAR_RATE, 1, TEN_MS))


async def listen(ear: deepgram.STT, *audio: bytes) -> list[stt.SpeechEvent]:
    """Everything the plugin hands on."""
    stream = ear.stream(conn_options=ONCE)
    for part in audio:
        push(stream, part)
    stream.end_input()
    found = []
    async with stream:
        async for event in stream:
            found.append(event)
    return found


def texts(events: list[stt.SpeechEvent], kind: stt.SpeechEventType = Kind.FINAL_TRANSCRIPT) -> list[str]:
    return [event.alternatives[0].text for event in events if event.type == kind]


async def test_the_plugin_hears_what_was_said(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient, question: bytes
) -> None:
    await admin.teach(TEXTS, names=["Harbor Clinic"])

    events = await listen(listener(emulators, http), question)

    kinds = [event.type for event in events if event.type != Kind.RECOGNITION_USAGE]
    assert texts(events) == ["How much is a velora peel?"]
    assert (kinds[0], kinds[-2:]) == (Kind.START_OF_SPEECH, [Kind.FINAL_TRANSCRIPT, Kind.END_OF_SPEECH])
    best = next(event for event in events if event.type == Kind.FINAL_TRANSCRIPT).alternatives[0]
    assert best.words is not None
    assert [str(word) for word in best.words] == ["How", "much", "is", "a", "velora", "peel?"]
    assert 0.2 < best.start_time < best.end_time
    assert best.confidence > 0.6
    asked = await admin.asked("deepgram")
    assert (asked.connections, asked.requests) == (1, 1)
    assert asked.last[0].fields["encoding"] == "linear16"
    assert KEY not in asked.model_dump_json()


async def test_without_the_clinics_words_it_hears_others(
    emulators: Emulators, http: aiohttp.ClientSession, question: bytes
) -> None:
    (said,) = texts(await listen(listener(emulators, http), question))

    assert "velora" not in said.lower()


async def test_plain_words_without_interims(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient, question: bytes
) -> None:
    await admin.teach(TEXTS)
    ear = listener(emulators, http, interim_results=False, punctuate=False)

    events = await listen(ear, question)

    assert texts(events, Kind.INTERIM_TRANSCRIPT) == []
    assert texts(events) == ["how much is a velora peel"]


@pytest.mark.parametrize(("kind", "error"), [("rate_limited", APIStatusError), ("error", APIStatusError)])
async def test_a_refused_handshake(
    kind: FaultKind,
    error: type[APIError],
    emulators: Emulators,
    http: aiohttp.ClientSession,
    admin: EmulatorsClient,
    question: bytes,
) -> None:
    await admin.fault("deepgram", kind, count=1)

    with pytest.raises(error) as refusal:
        await listen(listener(emulators, http), question)
    assert isinstance(refusal.value, APIStatusError)
    assert refusal.value.status_code == (429 if kind == "rate_limited" else 500)


@pytest.mark.parametrize("kind", ["reset", "half", "rate_limited", "error"])
async def test_a_fault_strikes_an_open_connection(
    kind: FaultKind, emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient, question: bytes
) -> None:
    await admin.teach(TEXTS)
    stream = listener(emulators, http).stream(conn_options=ONCE)
    push(stream, question)
    async with stream:
        async for event in stream:
            if event.type == Kind.END_OF_SPEECH:
                break
        await admin.fault("deepgram", kind, count=1)
        push(stream, question)
        with pytest.raises((APIStatusError, APIConnectionError)):
            async for event in stream:
                assert event.type != Kind.FINAL_TRANSCRIPT


async def test_a_stalled_utterance_is_silence_and_the_next_is_heard(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient, question: bytes
) -> None:
    await admin.teach(TEXTS)
    await admin.fault("deepgram", "stall", count=1)

    events = await listen(listener(emulators, http), question, question)

    assert texts(events) == ["How much is a velora peel?"]
    assert (await admin.asked("deepgram")).requests == 2


async def test_garbage_is_one_message_and_the_rest_comes(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient, question: bytes
) -> None:
    await admin.teach(TEXTS)
    await admin.fault("deepgram", "garbage", count=1)

    assert texts(await listen(listener(emulators, http), question)) == ["How much is a velora peel?"]


async def test_a_wrong_key_is_refused(emulators: Emulators, http: aiohttp.ClientSession, question: bytes) -> None:
    with pytest.raises(APIStatusError) as refusal:
        await listen(listener(emulators, http, key="another"), question)
    assert refusal.value.status_code == 401


async def test_an_unknown_parameter_is_refused(emulators: Emulators, http: aiohttp.ClientSession) -> None:
    url = f"{emulators.url}/v1/listen?encoding=linear16&sample_rate=16000&langauge=en"
    header = {"Authorization": f"Token {KEY}"}

    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await http.ws_connect(url, headers=header)
    assert refusal.value.status == 400
    assert refusal.value.headers is not None
    assert "langauge" in refusal.value.headers["dg-error"]
    async with http.get(url, headers=header) as plain:
        assert set(await plain.json()) == {"err_code", "err_msg", "request_id"}


async def messages(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    async for message in socket:
        yield json.loads(message.data)


async def test_finalize_gives_what_was_heard_and_close_the_summary(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient, question: bytes
) -> None:
    await admin.teach(TEXTS)
    url = f"{emulators.url}/v1/listen?encoding=linear16&sample_rate=16000&vad_events=true&interim_results=true"
    async with http.ws_connect(url, headers={"Authorization": f"Token {KEY}"}) as socket:
        said = question[: -EAR_RATE * 5 // 2]  # a quarter of a second of silence is left
        for at in range(0, len(said), 3200):
            await socket.send_bytes(said[at : at + 3200])
        await socket.send_json({"type": "KeepAlive"})
        heard: list[dict[str, Any]] = []
        finalized = False
        async for message in messages(socket):
            heard.append(message)
            if not finalized and message["type"] == "Results":
                finalized = True
                await socket.send_json({"type": "Finalize"})
            elif message["type"] == "Results" and message["is_final"]:
                await socket.send_json({"type": "CloseStream"})

    assert heard[0]["type"] == "SpeechStarted"
    final = heard[-2]
    assert (final["is_final"], final["from_finalize"], final["speech_final"]) == (True, True, False)
    assert heard[-1]["type"] == "Metadata"
    assert heard[-1]["duration"] == pytest.approx(len(said) / 2 / EAR_RATE, abs=0.01)
    assert socket.close_code == 1000


async def test_utterance_end_follows_the_last_word(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient, question: bytes
) -> None:
    await admin.teach(TEXTS)
    query = "encoding=linear16&sample_rate=16000&interim_results=true&utterance_end_ms=1000&endpointing=false"
    url = f"{emulators.url}/v1/listen?{query}"
    async with http.ws_connect(url, headers={"Authorization": f"Token {KEY}"}) as socket:
        await socket.send_bytes(question)
        async with asyncio.timeout(20):
            heard = []
            async for message in messages(socket):
                heard.append(message)
                if message["type"] == "UtteranceEnd":
                    break

    finals = [message for message in heard if message.get("is_final")]
    assert [message["speech_final"] for message in finals] == [False]
    assert heard[-1]["last_word_end"] == pytest.approx(finals[0]["start"] + finals[0]["duration"], abs=0.01)


@pytest.mark.parametrize("wrong", ['{"type": "KeepALive"}', '{"type": "KeepAlive", "now": 1}', "hello", "[]"])
async def test_an_unknown_message_is_refused(wrong: str, emulators: Emulators, http: aiohttp.ClientSession) -> None:
    url = f"{emulators.url}/v1/listen?encoding=linear16&sample_rate=16000"
    async with http.ws_connect(url, headers={"Authorization": f"Token {KEY}"}) as socket:
        await socket.send_str(wrong)
        told = await socket.receive_json()
        await socket.receive()

    assert told["type"] == "Error"
    assert socket.close_code == 1008
