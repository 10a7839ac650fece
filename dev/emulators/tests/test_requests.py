"""What is refused before anything is done, without a socket."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulators.protocols import cartesia_messages, elevenlabs_messages
from emulators.protocols.deepgram_parameters import BadQuery, read_query
from emulators.protocols.openai_chat_models import ChatRequest, check
from emulators.protocols.openai_embeddings import sized
from emulators.protocols.openai_errors import Refused
from emulators.speech import Spoken
from multidict import MultiDict
from pydantic import ValidationError

pytestmark = pytest.mark.unit

LISTEN = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000"}
USER = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
LOOK = [{"type": "function", "function": {"name": "look"}}]


def test_a_plain_query_is_read() -> None:
    options = read_query(MultiDict({**LISTEN, "endpointing": "300", "interim_results": "true", "smart_format": "true"}))

    assert (options.endpointing, options.interim_results, options.punctuate, options.vad_events) == (
        0.3,
        True,
        True,
        False,
    )
    assert read_query(MultiDict({**LISTEN, "endpointing": "false"})).endpointing is None


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"intermi_results": "true"}, "intermi_results"),
        ({"interim_results": "yes"}, "interim_results"),
        ({"model": "nova-9"}, "model"),
        ({"language": "tlh"}, "language"),
        ({"encoding": "mp3"}, "encoding"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"endpointing": "soon"}, "endpointing"),
        ({"utterance_end_ms": "1000"}, "interim_results"),
        ({"utterance_end_ms": "10", "interim_results": "true"}, "utterance_end_ms"),
        ({"diarize": "true"}, "diarize"),
        ({"keywords": "peel:2"}, "keywords"),
        ({"model": "nova-2", "keyterm": "peel"}, "keyterm"),
        ({"channels": "2"}, "channel"),
    ],
)
def test_a_wrong_query_is_refused_by_name(more: dict[str, str], named: str) -> None:
    with pytest.raises(BadQuery, match=named):
        read_query(MultiDict({**LISTEN, **more}))


@pytest.mark.parametrize(
    ("messages", "more", "why"),
    [
        ([USER, {"role": "tool", "content": "x", "tool_call_id": "c1"}], {}, "must be a response"),
        ([USER, CALLED, USER], {}, "c1"),
        ([USER, CALLED], {}, "c1"),
        ([USER, {"role": "assistant", "content": None}], {}, "content"),
        ([USER], {"tool_choice": "auto"}, "tool_choice"),
        ([USER], {"tools": []}, "too short"),
        ([USER], {"tools": LOOK, "tool_choice": {"type": "function", "function": {"name": "see"}}}, "see"),
        ([USER], {"stream_options": {"include_usage": True}}, "stream_options"),
        ([USER], {"model": "gpt-99"}, "gpt-99"),
    ],
)
def test_a_wrong_conversation_is_refused(messages: list[Any], more: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        check(ChatRequest.model_validate({"model": "gpt-4.1", "messages": messages, **more}))


def test_a_right_conversation_is_not() -> None:
    result = {"role": "tool", "content": "x", "tool_call_id": "c1"}
    check(ChatRequest.model_validate({"model": "gpt-4.1", "messages": [USER, CALLED, result, USER], "tools": LOOK}))


@pytest.mark.parametrize("field", ["temprature", "reasoning_effort", "functions", "logprobs"])
def test_an_unknown_argument_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        ChatRequest.model_validate({"model": "gpt-4.1", "messages": [USER], field: 1})


@pytest.mark.parametrize("form", ["pcm_1", "mp3_44100_x", "wav_16000", "pcm_16000_32", "ulaw_8000"])
def test_an_unknown_output_format_is_refused(form: str) -> None:
    with pytest.raises(elevenlabs_messages.Wrong, match=form):
        elevenlabs_messages.output_format(form)


def test_output_formats_are_read() -> None:
    read = elevenlabs_messages.output_format
    assert (read("pcm_22050").rate, read("mp3_22050_32").bit_rate, read("opus_48000_64").form) == (
        22050,
        32_000,
        "opus",
    )


def test_cartesia_names_an_unknown_field() -> None:
    with pytest.raises(cartesia_messages.Wrong, match="transcrpt"):
        cartesia_messages.read(cartesia_messages.Cancel, {"context_id": "c", "cancel": True, "transcrpt": ""})


def test_shorter_vectors_have_unit_length_and_longer_ones_the_same_angles() -> None:
    rng = np.random.default_rng(1)
    one, two = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 384)).astype(np.float32))

    assert float(np.linalg.norm(sized(one, 100))) == pytest.approx(1, abs=1e-6)
    assert float(sized(one, 1536) @ sized(two, 1536)) == pytest.approx(float(one @ two), abs=1e-6)
    assert (sized(one, 384) == one).all()


def test_times_of_words_and_characters_cover_the_sound() -> None:
    spoken = Spoken("Two words.", bytes(24_000 * 2), 24_000)

    assert spoken.words()[0][0] == "Two"
    assert spoken.words()[-1][2] == pytest.approx(1.0)
    assert sum(lasts for _, _, lasts in spoken.characters()) == pytest.approx(1.0)
    assert b"".join(spoken.pieces()) == spoken.pcm
    timing = elevenlabs_messages.alignment_of(spoken, 2.0)
    assert timing["charStartTimesMs"][0] == 2000
    assert len({len(timing[name]) for name in timing}) == 1
