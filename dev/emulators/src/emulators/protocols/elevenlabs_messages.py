"""ElevenLabs' queries and messages, checked."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, Literal

from multidict import MultiMapping
from pydantic import BaseModel, Field, ValidationError

from emulators.behaviour import Strict
from emulators.speech import Spoken

MODELS = ("eleven_turbo_v2_5", "eleven_turbo_v2", "eleven_flash_v2_5", "eleven_flash_v2", "eleven_multilingual_v2")
_FORMAT = re.compile(r"^(pcm|mp3|opus)_(\d+)(?:_(\d+))?$")
_RATES = {"pcm": (8000, 16000, 22050, 24000, 32000, 44100, 48000), "mp3": (22050, 24000, 44100), "opus": (48000,)}


class Wrong(Exception):
    """A request that is refused. `status`: ElevenLabs' name of the error."""

    def __init__(self, status: str, message: str, http: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.http = http

    def body(self) -> dict[str, Any]:
        """Over HTTP."""
        return {"detail": {"status": self.status, "message": str(self)}}

    def message(self) -> dict[str, Any]:
        """Over a WebSocket, before it is closed with 1008."""
        return {"message": str(self), "error": self.status, "code": 1008}


@dataclass(frozen=True)
class OutputFormat:
    """`form`: pcm, mp3 or opus. `bit_rate`: bits a second, None for pcm."""

    form: Literal["pcm", "mp3", "opus"]
    rate: int
    bit_rate: int | None


def output_format(text: str) -> OutputFormat:
    """``pcm_22050``, ``mp3_22050_32`` ... Raises Wrong."""
    found = _FORMAT.match(text)
    if found and int(found[2]) in _RATES[found[1]] and not (found[1] == "pcm" and found[3]):
        form: Any = found[1]
        return OutputFormat(form, int(found[2]), int(found[3]) * 1000 if found[3] else None)
    raise Wrong("invalid_output_format", f"Output format '{text}' is not supported.")


class Query(Strict):
    """Of the WebSocket."""

    model_id: str = "eleven_multilingual_v2"
    output_format: str = "mp3_44100_128"
    language_code: str | None = None
    enable_logging: Literal["true", "false"] = "true"
    enable_ssml_parsing: Literal["false"] = "false"
    inactivity_timeout: int = Field(default=20, ge=1, le=180)
    sync_alignment: Literal["true", "false"] = "false"
    auto_mode: Literal["true", "false"] = "false"
    apply_text_normalization: Literal["auto", "on", "off"] = "auto"
    apply_language_text_normalization: Literal["true", "false"] = "false"
    seed: int | None = Field(default=None, ge=0, le=4294967295)


class HttpQuery(Strict):
    """Of the HTTP stream."""

    output_format: str = "mp3_44100_128"
    enable_logging: Literal["true", "false"] = "true"
    optimize_streaming_latency: int | None = Field(default=None, ge=0, le=4)


class VoiceTuning(Strict):
    """``speed`` changes the voice; the others would only colour it."""

    stability: float | None = Field(default=None, ge=0, le=1)
    similarity_boost: float | None = Field(default=None, ge=0, le=1)
    style: float | None = Field(default=None, ge=0, le=1)
    speed: float = Field(default=1.0, ge=0.7, le=1.2)
    use_speaker_boost: bool | None = None


class GenerationConfig(Strict):
    chunk_length_schedule: list[int] = Field(default=[120, 160, 250, 290], min_length=1)


class Message(Strict):
    """From the client, all kinds in one: text, flush, the end of a context, the end of everything."""

    text: str | None = None
    context_id: str | None = None
    flush: bool = False
    close_context: bool = False
    close_socket: bool = False
    voice_settings: VoiceTuning | None = None
    generation_config: GenerationConfig | None = None


class SpeechBody(Strict):
    """Of the HTTP stream."""

    text: str = Field(min_length=1)
    model_id: str = "eleven_multilingual_v2"
    voice_settings: VoiceTuning | None = None
    language_code: str | None = None
    apply_text_normalization: Literal["auto", "on", "off"] = "auto"
    apply_language_text_normalization: bool = False
    seed: int | None = None


def from_query(query: MultiMapping[str], model: type[Query] | type[HttpQuery]) -> Any:
    """Raises Wrong for an unknown parameter or value."""
    try:
        return model.model_validate(dict(query))
    except ValidationError as error:
        raise wrong(error) from None


def wrong(error: ValidationError) -> Wrong:
    """The first thing that is wrong, by name."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return Wrong("invalid_request", f"Unknown parameter: {place}", 422)
    return Wrong("invalid_request", f"{place}: {first['msg']}", 422)


def check_model(model: str) -> None:
    """Raises Wrong."""
    if model not in MODELS:
        raise Wrong("model_not_found", f"A model with model ID {model} does not exist.")


def audio(context_id: str, piece: bytes, alignment: dict[str, Any] | None) -> dict[str, Any]:
    """A piece of sound. Times count from the beginning of the context's sound."""
    message: dict[str, Any] = {"audio": base64.b64encode(piece).decode(), "isFinal": None, "contextId": context_id}
    return message | {"alignment": alignment, "normalizedAlignment": alignment}


def final(context_id: str) -> dict[str, Any]:
    """Nothing more of this context."""
    return {"isFinal": True, "contextId": context_id}


def alignment_of(sentence: Spoken, began: float) -> dict[str, Any]:
    """The characters of one sentence whose sound starts `began` seconds into the context, and a space after it."""
    timed = [*sentence.characters(), (" ", sentence.seconds, 0.0)]
    return {
        "chars": [char for char, _, _ in timed],
        "charStartTimesMs": [round((began + start) * 1000) for _, start, _ in timed],
        "charDurationsMs": [round(lasts * 1000) for _, _, lasts in timed],
    }


def read(model: type[BaseModel], raw: Any) -> Any:
    """Raises Wrong."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise wrong(error) from None
