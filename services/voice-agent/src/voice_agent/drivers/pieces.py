"""What goes to and comes from the session in pieces: our words on their way to the voice, the caller's from the ear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from livekit.agents import stt

from voice_agent.conversation.models import Heard


class Words:
    """The text of an utterance that comes in pieces."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()

    def add(self, text: str) -> None:
        # The space keeps sentences apart; the session joins what it gets as it is.
        self._pieces.put_nowait(f"{text} ")

    def end(self) -> None:
        self._pieces.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece


def time_of(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def heard_of(finals: list[stt.SpeechEvent]) -> tuple[Heard, ...]:
    """The readings of a turn, best first: the n-best of a single final, or the finals' best ones in a row."""
    usable = [event.alternatives for event in finals if event.alternatives and event.alternatives[0].text.strip()]
    if not usable:
        return ()
    if len(usable) == 1:
        return tuple(Heard(text=a.text, confidence=_confidence(a.confidence)) for a in usable[0] if a.text.strip())
    text = " ".join(alternatives[0].text for alternatives in usable)
    return (Heard(text=text, confidence=_confidence(min(alternatives[0].confidence for alternatives in usable))),)


def detail_of(finals: list[stt.SpeechEvent]) -> tuple[dict[str, Any], ...]:
    """The offline ear's own account (words with their confidence, phones) of each final."""
    found = [(event.alternatives[0].metadata or {}).get("hypotheses") for event in finals if event.alternatives]
    return tuple(account for account in found if isinstance(account, dict))


def _confidence(value: float) -> float:
    return min(1.0, max(0.0, value))
