"""Who hears, thinks and speaks for a tenant: chains of providers per stage, and what is recorded of their faults.

An endpoint is an account of the platform with a provider (or a server that speaks a provider's protocol), known by a
name of the operators' choosing; addresses and keys are settings of the services that call it and travel nowhere.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from switchboard.contracts.base import Contract

OFFLINE = "offline"
"""The endpoint that is always there: our own ear, answerer, voice and embeddings. Last in every chain, named or not."""

ProviderStage = Literal["stt", "llm", "tts"]
ProviderKind = Literal["openai", "deepgram", "elevenlabs", "cartesia"]
"""Protocols. ``openai`` is any server compatible with OpenAI's chat, embeddings, speech and transcription."""

MAX_CHAIN = 4


class ProviderChoice(Contract):
    """One link of a chain.

    ``deadline_ms``: how long the stage may be waited for before the next link gets the work. STT: from the caller's end
    of speech to the final transcript; LLM: to the first token, and from one to the next; TTS: to the first audio, and
    for more of it once what came is spoken. ``None``: the stage's default.
    """

    endpoint: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
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
    """A provider failed in this turn. ``served_by`` is the endpoint that did its work instead, "" when none could."""

    stage: ProviderStage
    endpoint: str
    fault: FaultKind
    served_by: str = ""
