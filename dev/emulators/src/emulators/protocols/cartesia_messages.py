"""Cartesia's requests and messages, checked."""

from __future__ import annotations

import base64
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from emulators.behaviour import Fault, Strict
from emulators.speech import Spoken

MODELS = ("sonic-3", "sonic-3.5", "sonic-latest", "sonic-2", "sonic-turbo", "sonic-english")
VERSIONS = ("2024-11-13", "2025-04-16", "2026-03-01")
LANGUAGES = ("en",)
M = TypeVar("M", bound=BaseModel)


class Wrong(Exception):
    """A request that is refused; over HTTP with this status, over the WebSocket as an error message."""

    def __init__(self, message: str, status: int = 400, title: str = "Invalid request", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.code = code or "invalid_request"

    def fields(self, version: str) -> dict[str, Any]:
        """One text in the older versions, title, message and code since 2026-03-01."""
        if version >= "2026-03-01":
            return {"title": self.title, "message": str(self), "error_code": self.code}
        return {"error": f"{self.title}: {self}"}


class Voice(Strict):
    mode: Literal["id"]
    id: str


class OutputFormat(Strict):
    container: Literal["raw"]
    encoding: Literal["pcm_s16le"]
    sample_rate: Literal[8000, 16000, 22050, 24000, 44100, 48000]


class GenerationConfig(Strict):
    """``speed`` changes the voice."""

    speed: float = Field(default=1.0, ge=0.6, le=1.5)
    volume: float = Field(default=1.0, ge=0.5, le=2.0)
    emotion: str | None = None


class SpeechBody(Strict):
    """Of POST /tts/bytes."""

    model_id: str
    transcript: str
    voice: Voice
    output_format: OutputFormat
    language: str | None = None
    generation_config: GenerationConfig | None = None


class Generate(SpeechBody):
    """A piece of a context's text. All of a context's pieces are alike but for the transcript and ``continue``."""

    context_id: str = Field(min_length=1)
    continue_: bool = Field(default=False, alias="continue")
    flush: bool = False
    add_timestamps: bool = False
    add_phoneme_timestamps: Literal[False] = False
    use_normalized_timestamps: bool = False
    max_buffer_delay_ms: int = Field(default=3000, ge=0, le=5000)

    def shape(self) -> dict[str, Any]:
        """What may not change within a context."""
        return self.model_dump(exclude={"transcript", "continue_", "flush"})


class Cancel(Strict):
    """Forgets what of a context was not spoken yet."""

    context_id: str = Field(min_length=1)
    cancel: Literal[True]


def voice_not_found(identity: str) -> Wrong:
    return Wrong(f"Voice {identity} was not found.", 404, "Voice not found", "voice_not_found")


def of_fault(fault: Fault) -> Wrong:
    """A 429 or a 500."""
    if fault.kind == "rate_limited":
        return Wrong("Too many concurrent requests.", 429, "Too many requests", "concurrency_limited")
    return Wrong("Internal server error.", 500, "Internal server error", "internal_error")


def check(body: SpeechBody) -> None:
    """What the schema can't say. Raises Wrong."""
    if body.model_id not in MODELS:
        message = "The model is not valid, make sure it is a valid model ID."
        raise Wrong(message, 400, "Invalid model", "model_not_found")
    if body.language not in (None, *LANGUAGES):
        raise Wrong(
            f"The emulator speaks {', '.join(LANGUAGES)} only.", 400, "Invalid language", "language_not_supported"
        )


def read(model: type[M], raw: Any) -> M:
    """Raises Wrong that names what is wrong."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise Wrong(f"unknown field {place}") from None
        raise Wrong(f"{place}: {first['msg']}") from None


def chunk(context_id: str, piece: bytes) -> dict[str, Any]:
    data = base64.b64encode(piece).decode()
    return {
        "type": "chunk",
        "data": data,
        "done": False,
        "status_code": 206,
        "step_time": 1.0,
        "context_id": context_id,
    }


def timestamps(context_id: str, sentence: Spoken, began: float) -> dict[str, Any]:
    """The words of one sentence whose sound starts `began` seconds into the context."""
    words = sentence.words()
    return {
        "type": "timestamps",
        "done": False,
        "status_code": 206,
        "context_id": context_id,
        "word_timestamps": {
            "words": [word for word, _, _ in words],
            "start": [round(began + start, 3) for _, start, _ in words],
            "end": [round(began + end, 3) for _, _, end in words],
        },
    }


def flush_done(context_id: str, number: int) -> dict[str, Any]:
    return {
        "type": "flush_done",
        "done": False,
        "flush_done": True,
        "flush_id": number,
        "status_code": 206,
        "context_id": context_id,
    }


def done(context_id: str) -> dict[str, Any]:
    return {"type": "done", "done": True, "status_code": 200, "context_id": context_id}


def error(wrong: Wrong, version: str, context_id: str | None) -> dict[str, Any]:
    message = {"type": "error", "done": True, "status_code": wrong.status, **wrong.fields(version)}
    return message | ({"context_id": context_id} if context_id else {})
