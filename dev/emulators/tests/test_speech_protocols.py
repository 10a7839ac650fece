"""Speech over OpenAI's, ElevenLabs' and Cartesia's protocols, as the livekit plugins speak them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import numpy as np
import openai
import pytest
from emulators.behaviour import Face, FaultKind
from emulators.client import EmulatorsClient
from emulators.server import Emulators
from emulators.testing import KEY
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError, tts
from livekit.agents.types import APIConnectOptions
from livekit.plugins import cartesia, elevenlabs
from livekit.plugins import openai as plugin

pytestmark = pytest.mark.integration

TEXT = "Dental cleaning costs $85. Is there anything else?"
SECONDS = (3.5, 5.5)
ONCE = APIConnectOptions(max_retry=0, timeout=3.0)
Make = Callable[[str, aiohttp.ClientSession], tts.TTS[Any]]

VOICES: dict[str, tuple[Face, Make]] = {
    "openai sse": ("speech", lambda url, _: plugin.TTS(voice="alloy", api_key=KEY, base_url=f"{url}/v1")),
    "openai pcm": (
        "speech",
        lambda url, _: plugin.TTS(
            model="tts-1", voice="alloy", api_key=KEY, base_url=f"{url}/v1", response_format="pcm"
        ),
    ),
    "elevenlabs mp3": (
        "elevenlabs",
        lambda url, http: elevenlabs.TTS(api_key=KEY, base_url=f"{url}/v1", http_session=http),
    ),
    "elevenlabs pcm": (
        "elevenlabs",
        lambda url, http: elevenlabs.TTS(api_key=KEY, base_url=f"{url}/v1", encoding="pcm_24000", http_session=http),
    ),
    "cartesia": ("cartesia", lambda url, http: cartesia.TTS(api_key=KEY, base_url=url, http_session=http)),
}


async def speak(voice: tts.TTS[Any], text: str = TEXT, *, whole: bool = False) -> tuple[float, float]:
    """Seconds of sound, and how loud it is (root mean square)."""
    frames: list[Any] = []
    streams = voice.capabilities.streaming and not whole
    made = voice.stream(conn_options=ONCE) if streams else voice.synthesize(text, conn_options=ONCE)
    async with made as stream:
        if isinstance(stream, tts.SynthesizeStream):
            for token in text.split(" "):
                stream.push_text(f"{token} ")
            stream.end_input()
        async for event in stream:
            frames.append(event.frame)
    samples = np.concatenate([np.frombuffer(frame.data, np.int16) for frame in frames]).astype(float)
    return sum(frame.duration for frame in frames), float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize("name", VOICES)
async def test_the_plugin_gets_the_whole_sound(
    name: str, emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient
) -> None:
    face, make = VOICES[name]
    voice = make(emulators.url, http)

    seconds, loud = await speak(voice)
    again, _ = await speak(voice)
    await voice.aclose()

    assert SECONDS[0] < seconds < SECONDS[1]
    assert abs(seconds - again) < 0.2
    assert loud > 500
    asked = await admin.asked(face)
    assert (asked.requests, asked.refused) == (2, 0)
    assert KEY not in asked.model_dump_json()


@pytest.mark.parametrize("name", ["elevenlabs mp3", "cartesia"])
async def test_one_text_over_http(name: str, emulators: Emulators, http: aiohttp.ClientSession) -> None:
    voice = VOICES[name][1](emulators.url, http)

    seconds, _ = await speak(voice, whole=True)
    await voice.aclose()

    assert SECONDS[0] < seconds < SECONDS[1]


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_every_format_of_openai(form: Any, client: openai.AsyncOpenAI) -> None:
    answer = await client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", response_format=form)

    begins = {"mp3": b"\xff", "opus": b"OggS", "aac": b"\xff\xf1", "flac": b"fLaC", "wav": b"RIFF", "pcm": b""}
    assert answer.content.startswith(begins[form])
    assert len(answer.content) > 1000


FAULTS: list[tuple[str, FaultKind, type[APIError]]] = [
    ("openai sse", "reset", APIConnectionError),
    ("openai sse", "rate_limited", APIStatusError),
    ("openai sse", "error", APIStatusError),
    ("elevenlabs pcm", "stall", APIStatusError),
    ("elevenlabs pcm", "reset", APIError),
    ("elevenlabs pcm", "rate_limited", APIStatusError),
    ("elevenlabs pcm", "error", APIStatusError),
    ("elevenlabs pcm", "garbage", APIError),
    ("elevenlabs pcm", "half", APIStatusError),
    ("cartesia", "stall", APITimeoutError),
    ("cartesia", "reset", APIError),
    ("cartesia", "rate_limited", APIStatusError),
    ("cartesia", "error", APIStatusError),
    ("cartesia", "garbage", APIConnectionError),
    ("cartesia", "half", APIStatusError),
]


@pytest.mark.parametrize(("name", "kind", "error"), FAULTS)
async def test_each_fault_as_the_plugin_sees_it(
    name: str,
    kind: FaultKind,
    error: type[APIError],
    emulators: Emulators,
    http: aiohttp.ClientSession,
    admin: EmulatorsClient,
) -> None:
    face, make = VOICES[name]
    voice = make(emulators.url, http)
    await admin.fault(face, kind, count=1)

    with pytest.raises(error):
        await speak(voice)

    assert SECONDS[0] < (await speak(voice))[0] < SECONDS[1]
    await voice.aclose()


@pytest.mark.parametrize("name", ["elevenlabs pcm", "cartesia"])
@pytest.mark.parametrize("kind", ["rate_limited", "error"])
async def test_a_refusal_strikes_an_open_connection_too(
    name: str, kind: FaultKind, emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient
) -> None:
    face, make = VOICES[name]
    voice = make(emulators.url, http)
    await speak(voice)
    await admin.fault(face, kind, count=1)

    with pytest.raises(APIError):
        await speak(voice)

    assert SECONDS[0] < (await speak(voice))[0] < SECONDS[1]
    # ElevenLabs closes the connection, at Cartesia an error is of its context
    assert (await admin.asked(face)).connections == (2 if face == "elevenlabs" else 1)
    await voice.aclose()


async def test_half_of_openais_sound_ends_as_if_it_were_whole(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient
) -> None:
    voice = VOICES["openai pcm"][1](emulators.url, http)
    await admin.fault("speech", "half", count=1, after=10)

    assert (await speak(voice))[0] == pytest.approx(1.0, abs=0.1)
    await voice.aclose()


@pytest.mark.parametrize("name", ["openai sse", "cartesia"])
async def test_a_wrong_key_is_refused(
    name: str,
    emulators: Emulators,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    admin: EmulatorsClient,
) -> None:
    face, make = VOICES[name]
    monkeypatch.setattr(f"{__name__}.KEY", "another")
    voice = make(emulators.url, http)

    with pytest.raises(APIError):
        await speak(voice)
    await voice.aclose()
    asked = await admin.asked(face)
    assert (asked.requests, asked.refused) == (0, 1)


async def test_an_unknown_voice_is_refused_until_the_operator_adds_it(
    emulators: Emulators, http: aiohttp.ClientSession, client: openai.AsyncOpenAI, admin: EmulatorsClient
) -> None:
    strange = cartesia.TTS(api_key=KEY, base_url=emulators.url, voice="new-voice", http_session=http)
    with pytest.raises(APIError):
        await speak(strange)
    assert "new-voice" in (await admin.asked("cartesia")).last[-1].model_dump_json()
    with pytest.raises(openai.BadRequestError, match="new-voice"):
        await client.audio.speech.create(model="tts-1", voice="new-voice", input="hello")

    await admin.add_voice("new-voice", "en-us+f3")

    assert SECONDS[0] < (await speak(strange))[0] < SECONDS[1]
    await strange.aclose()


async def said_of(
    http: aiohttp.ClientSession, url: str, *messages: dict[str, Any], key: str = KEY
) -> tuple[dict[str, Any], int | None]:
    """The first message that is an error, and the code that the connection was closed with."""
    header = {"xi-api-key": key, "X-API-Key": key}
    async with http.ws_connect(url, headers=header) as socket:
        for message in messages:
            await socket.send_json(message)
        told: dict[str, Any] = {}
        async for message_ in socket:
            read = json.loads(message_.data)
            if "error" in read:
                told = read
                break
        await socket.receive() if told.get("code") else None
        return told, socket.close_code


async def test_elevenlabs_refuses_what_it_does_not_know(emulators: Emulators, http: aiohttp.ClientSession) -> None:
    base = f"{emulators.url}/v1/text-to-speech/alloy/multi-stream-input"

    told, code = await said_of(http, f"{base}?model=eleven_flash_v2_5")
    assert ("model" in told["message"], told["code"], code) == (True, 1008, 1008)
    told, code = await said_of(http, base, {"text": " ", "context_id": "a", "voices": ["x"]})
    assert ("voices" in told["message"], code) == (True, 1008)
    told, code = await said_of(http, f"{emulators.url}/v1/text-to-speech/nobody/multi-stream-input")
    assert (told["error"], code) == ("voice_not_found", 1008)


async def test_elevenlabs_says_on_the_open_socket_that_the_key_is_wrong(
    emulators: Emulators, http: aiohttp.ClientSession, admin: EmulatorsClient
) -> None:
    """The plugin doesn't hear it, if it comes before its context: it waits until its caller's patience ends."""
    base = f"{emulators.url}/v1/text-to-speech/alloy/multi-stream-input"

    told, code = await said_of(http, base, key="another")

    assert (told["error"], code) == ("invalid_api_key", 1008)
    asked = await admin.asked("elevenlabs")
    assert (asked.connections, asked.requests, asked.refused) == (0, 0, 1)


async def test_elevenlabs_takes_five_contexts_at_once(emulators: Emulators, http: aiohttp.ClientSession) -> None:
    base = f"{emulators.url}/v1/text-to-speech/alloy/multi-stream-input"
    opened = [{"text": " ", "context_id": f"c{at}"} for at in range(6)]

    told, code = await said_of(http, base, *opened)

    assert (told["error"], code) == ("max_active_conversations", 1008)


async def test_cartesia_refuses_what_it_does_not_know(emulators: Emulators, http: aiohttp.ClientSession) -> None:
    url = f"{emulators.url}/tts/websocket?cartesia_version=2025-04-16"
    right = {
        "model_id": "sonic-3",
        "transcript": "Hello there. ",
        "voice": {"mode": "id", "id": "alloy"},
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
        "context_id": "c",
        "continue": True,
    }

    told, _ = await said_of(http, url, {**right, "sped": 2})
    assert "sped" in told["error"]
    told, _ = await said_of(http, url, right, {**right, "model_id": "sonic-2"})
    assert "same within a context" in told["error"]
    told, _ = await said_of(http, url, {**right, "model_id": "sonic-99"})
    assert (told["status_code"], told["context_id"]) == (400, "c")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
        await http.ws_connect(f"{emulators.url}/tts/websocket?cartesia_version=1999-01-01", headers={"X-API-Key": KEY})


async def test_cartesia_forgets_a_cancelled_context(emulators: Emulators, http: aiohttp.ClientSession) -> None:
    url = f"{emulators.url}/tts/websocket?cartesia_version=2025-04-16"
    request = {
        "model_id": "sonic-3",
        "transcript": "This sentence is never finished, ",
        "voice": {"mode": "id", "id": "alloy"},
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
        "context_id": "gone",
        "continue": True,
    }
    async with http.ws_connect(url, headers={"X-API-Key": KEY}) as socket:
        await socket.send_json(request)
        await socket.send_json({"context_id": "gone", "cancel": True})
        await socket.send_json({**request, "context_id": "kept", "transcript": "Hello.", "continue": False})
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["type"] != "done":
            heard.append(await socket.receive_json(timeout=10))

    assert {message["context_id"] for message in heard} == {"kept"}
