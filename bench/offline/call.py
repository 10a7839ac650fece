"""A call to a clinic as the agent holds it: the conversation core, the offline brain and the ear, audio in, words out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from uuid import UUID

from switchboard.clock import Clock, ManualClock
from switchboard.contracts.calls import TurnKind
from switchboard.contracts.snapshot import Location, Opening, TenantSnapshot, TenantStatus
from voice_agent.adapters.offline_brain import OfflineBrain
from voice_agent.conversation.core import initial, step
from voice_agent.conversation.models import (
    Answered,
    CallerSpoke,
    Effect,
    Event,
    Heard,
    PassagesFound,
    Respond,
    Retrieve,
    Say,
    SpeechEnded,
)
from voice_agent.offline.ear import Ear
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.language_model import SpeechModel, build_language_model
from voice_agent.offline.sound import Samples
from voice_agent.providers import profile_texts

from bench.offline.clinics import Clinic
from bench.offline.knowledge import Knowledge

WEDNESDAY = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
CHUNK = 1600  # samples: 100 ms


@dataclass(frozen=True)
class Place:
    """A clinic that can be called."""

    clinic: Clinic
    tenant: UUID
    snapshot: TenantSnapshot
    model: SpeechModel


def snapshot_of(clinic: Clinic, tenant: UUID) -> TenantSnapshot:
    """Its configuration as published."""
    locations = tuple(
        Location(
            id=uuid.uuid5(tenant, one["name"]),
            name=one["name"],
            address=one.get("address", ""),
            notes=one.get("notes", ""),
            hours=tuple(
                Opening(day=day, opens=time.fromisoformat(span[:5]), closes=time.fromisoformat(span[6:]))
                for day, span in one["hours"].items()
            ),
        )
        for one in clinic.locations
    )
    return TenantSnapshot(
        tenant_id=tenant, version=1, published_at=WEDNESDAY, status=TenantStatus.LIVE, name=clinic.name,
        time_zone="America/New_York", locations=locations,
    )  # fmt: skip


async def place(clinic: Clinic, knowledge: Knowledge) -> Place:
    """Ingests the clinic's documents and builds its language model, as the worker does for a call."""
    tenant = await knowledge.take(clinic)
    snapshot = snapshot_of(clinic, tenant)
    texts = [*(f"# {text}" for text in await knowledge.speech_texts(tenant)), *profile_texts(snapshot)]
    places = tuple(location.name for location in snapshot.locations)
    return Place(clinic, tenant, snapshot, build_language_model(texts, names=(snapshot.name,), places=places))


async def open_ear(where: Place) -> Ear:
    """An ear with this clinic's words. The caller closes it."""
    ear = Ear(timeout=120)
    await ear.load(where.model)
    return ear


async def hear(ear: Ear, audio: Samples) -> Hypotheses:
    """One utterance, fed in the pieces in which it arrives."""
    await ear.start()
    for at in range(0, len(audio), CHUNK):
        await ear.feed(audio[at : at + CHUNK])
    return await ear.finish()


@dataclass(frozen=True)
class Reply:
    """What the agent said, and to what (``queries`` are the readings that retrieval was asked with)."""

    kind: TurnKind
    text: str
    queries: tuple[str, ...]


class Conversation:
    """One caller's conversation, turn by turn. ``heard`` in, what is said out; the agent's own code between them."""

    def __init__(self, where: Place, knowledge: Knowledge, clock: Clock | None = None) -> None:
        self._where = where
        self._knowledge = knowledge
        self._brain = OfflineBrain(where.snapshot, clock or ManualClock(WEDNESDAY))
        self._state = initial(1)
        self._step(Answered(greeting="Hello, how can I help you?"))
        self._finish(self._state.utterance, "Hello, how can I help you?")

    def _step(self, event: Event) -> Sequence[Effect]:
        self._state, effects = step(self._state, event)
        return effects

    def _finish(self, utterance: int, text: str) -> None:
        self._step(SpeechEnded(utterance=utterance, heard=text, interrupted=False))

    async def hears(self, heard: Hypotheses) -> Reply:
        """The agent's answer to one utterance."""
        readings = tuple(
            Heard(text=one.text, confidence=min(1.0, max(0.0, one.confidence))) for one in heard.alternatives
        )
        queries: tuple[str, ...] = ()
        effects = list(self._step(CallerSpoke(heard=readings, detail=(heard.to_json(),))))
        while effects:
            effect = effects.pop(0)
            if isinstance(effect, Retrieve):
                queries = effect.queries
                sources = await self._knowledge.search(self._where.tenant, queries)
                effects += self._step(PassagesFound(utterance=effect.utterance, sources=sources))
            elif isinstance(effect, Respond):
                effects += self._step(await self._brain.respond(effect))
            elif isinstance(effect, Say):
                self._finish(effect.utterance, effect.text)
                return Reply(effect.kind, effect.text, queries)
        raise AssertionError("the conversation said nothing")
