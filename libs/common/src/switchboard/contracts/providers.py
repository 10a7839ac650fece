"""Who hears, thinks and speaks for a tenant: chains of providers per stage, and what is recorded of their faults.

An endpoint is an account of the platform with a provider (or a server that speaks a provider's protocol), known by a
name of the operators' choosing; addresses and keys are settings of the services that call it and travel nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from pydantic import Field

from switchboard.contracts.base import Contract

OFFLINE = "offline"
"""The endpoint that is always there: our own ear, answerer, voice and embeddings. Last in every chain, named or not."""

ENDPOINT_NAME = r"^[a-z][a-z0-9-]{0,31}$"

ProviderStage = Literal["stt", "llm", "tts"]
ChosenStage = Literal["stt", "llm", "tts", "embeddings"]
"""What a tenant chooses for: a call's stages, and what its documents are found with."""

ProviderKind = Literal["openai", "deepgram", "elevenlabs", "cartesia"]
"""Protocols. ``openai`` is any server compatible with OpenAI's chat, embeddings, speech and transcription."""

STAGES: tuple[ChosenStage, ...] = get_args(ChosenStage)

SERVES: Mapping[ProviderKind, frozenset[ChosenStage]] = MappingProxyType(
    {
        "openai": frozenset({"llm", "tts", "embeddings"}),
        "deepgram": frozenset({"stt"}),
        "elevenlabs": frozenset({"tts"}),
        "cartesia": frozenset({"tts"}),
    }
)
"""Which stages an endpoint of each kind can be chosen for."""

MAX_CHAIN = 4

MAX_EMBEDDINGS_DEADLINE_MS = 1200
"""A caller is waiting for the search, and after it for the answer: a slower provider is done without."""


class ProviderChoice(Contract):
    """One link of a chain.

    ``deadline_ms``: how long the stage may be waited for before the next link gets the work. STT: from the caller's end
    of speech to the final transcript; LLM: to the first token, and from one to the next; TTS: to the first audio, and
    for more of it once what came is spoken; embeddings: to the query's vector, while a caller waits (at most
    :data:`MAX_EMBEDDINGS_DEADLINE_MS`; ingestion takes its time). ``None``: the stage's default.
    """

    endpoint: str = Field(pattern=ENDPOINT_NAME)
    model: str = Field(default="", max_length=128)
    voice: str = Field(default="", max_length=128)
    deadline_ms: int | None = Field(default=None, ge=100, le=20_000)


class ProviderChains(Contract):
    """First choice first. An empty chain is the offline pipeline's."""

    stt: tuple[ProviderChoice, ...] = Field(default=(), max_length=MAX_CHAIN)
    llm: tuple[ProviderChoice, ...] = Field(default=(), max_length=MAX_CHAIN)
    tts: tuple[ProviderChoice, ...] = Field(default=(), max_length=MAX_CHAIN)
    embeddings: ProviderChoice | None = None


FaultKind = Literal["timeout", "refused", "rate_limited", "reset", "bad_answer", "cut_off"]
"""``refused``: the provider said no (4xx, or no connection); ``reset``: the connection broke; ``cut_off``: it ended
in the middle of an answer; ``bad_answer``: what came can't be read."""


class ProviderFault(Contract):
    """A provider failed in this turn. ``served_by`` is the endpoint that did its work instead, "" when none could (of
    embeddings: what was found was found by its words alone)."""

    stage: ChosenStage
    endpoint: str
    fault: FaultKind
    served_by: str = ""
