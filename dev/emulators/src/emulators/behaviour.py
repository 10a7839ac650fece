"""How a protocol behaves: latency, jitter and faults, set by a test through the admin face.

Each protocol ("face") has one :class:`Behaviour`. A request or, on a WebSocket, a piece of work (an utterance, a
speech context) takes the first fault that still counts and becomes a :class:`Flow`, which paces its chunks.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterable, Callable
from typing import Literal, Protocol, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field

Face = Literal["chat", "embeddings", "speech", "deepgram", "elevenlabs", "cartesia"]
FACES: tuple[Face, ...] = get_args(Face)
FaultKind = Literal["stall", "reset", "rate_limited", "error", "garbage", "half"]
REFUSALS: frozenset[FaultKind] = frozenset({"rate_limited", "error"})
_DEFAULT_AFTER: dict[FaultKind, int] = {"stall": 0, "reset": 1, "rate_limited": 0, "error": 0, "garbage": 1, "half": 1}

_now = time.monotonic

T_contra = TypeVar("T_contra", contravariant=True)
T = TypeVar("T")


class Strict(BaseModel):
    """Plain values; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fault(Strict):
    """One fault.

    ``stall``: accepts, then nothing. ``reset``: TCP RST. ``rate_limited``: 429 with ``Retry-After``. ``error``: 500.
    ``garbage``: one chunk that can't be parsed, then the rest. ``half``: a clean end without the end mark.
    ``count``: how many requests it strikes, ``None``: all. ``after``: chunks (tokens, pieces of audio, transcripts)
    sent before it strikes; 0 for a stall, 1 for the others; a shorter answer is struck before its end mark.
    """

    kind: FaultKind
    count: int | None = Field(default=None, ge=1)
    after: int | None = Field(default=None, ge=0)
    retry_after_s: float = Field(default=1.0, ge=0)

    @property
    def strikes_after(self) -> int:
        return _DEFAULT_AFTER[self.kind] if self.after is None else self.after


class Latency(Strict):
    """Milliseconds before the first chunk and before each further one; to each up to ``jitter_ms`` is added."""

    first_ms: float = Field(default=0, ge=0)
    chunk_ms: float = Field(default=0, ge=0)
    jitter_ms: float = Field(default=0, ge=0)


class Behaviour(Strict):
    """Of one protocol. The default: at once, and no faults."""

    latency: Latency = Latency()
    faults: tuple[Fault, ...] = ()
    seed: int = 0


class _State:
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.left = [fault.count for fault in behaviour.faults]
        self.rng = random.Random(behaviour.seed)


class Behaviours:
    """What each face does, and how much of each fault is left."""

    def __init__(self) -> None:
        self._states = {face: _State(Behaviour()) for face in FACES}

    def set(self, face: Face, behaviour: Behaviour) -> None:
        """Replaces a face's behaviour, with its counts and its chance from the start."""
        self._states[face] = _State(behaviour)

    def reset(self) -> None:
        """All faces behave well again."""
        for face in FACES:
            self.set(face, Behaviour())

    def left(self, face: Face) -> list[Fault]:
        """The faults that will still strike, with their remaining counts."""
        state = self._states[face]
        both = zip(state.behaviour.faults, state.left, strict=True)
        return [fault.model_copy(update={"count": left}) for fault, left in both if left != 0]

    def latency(self, face: Face) -> Latency:
        return self._states[face].behaviour.latency

    def begin(self, face: Face, kinds: frozenset[FaultKind] = frozenset(get_args(FaultKind))) -> Flow:
        """A flow for one request, with the first fault of these kinds that still counts."""
        state = self._states[face]
        for at, fault in enumerate(state.behaviour.faults):
            left = state.left[at]
            if left == 0 or fault.kind not in kinds:
                continue
            if left is not None:
                state.left[at] = left - 1
            return Flow(state.behaviour.latency, state.rng, fault)
        return Flow(state.behaviour.latency, state.rng, None)


class Wire(Protocol[T_contra]):
    """Where an answer goes, and how it can fail."""

    async def send(self, chunk: T_contra) -> None: ...

    async def garbage(self) -> None:
        """Sends something that can't be parsed."""
        ...

    async def half(self) -> None:
        """Ends cleanly, as if everything had been said."""
        ...

    async def refuse(self, fault: Fault) -> None:
        """Says no with an error on a connection that is open already (HTTP refuses before it answers)."""
        ...

    def reset(self) -> None:
        """Drops the TCP connection with RST."""
        ...


class Flow:
    """The pace and the fate of one answer."""

    def __init__(self, latency: Latency, rng: random.Random, fault: Fault | None) -> None:
        self._latency = latency
        self._rng = rng
        self.fault = fault
        self._asked_at: float | None = None
        self.over = asyncio.Event()
        """Set when nothing more will be sent: it was played to the end, or struck down, or stalled."""

    def asked(self) -> None:
        """The request is whole: what making the first chunk takes from now on is a part of its latency, not added to it."""
        if self._asked_at is None:
            self._asked_at = _now()

    async def pause(self, *, first: bool) -> None:
        """The time before a chunk."""
        base = self._latency.first_ms if first else self._latency.chunk_ms
        wait = (base + self._rng.uniform(0, self._latency.jitter_ms)) / 1000
        if first and self._asked_at is not None:
            wait -= _now() - self._asked_at
        if wait > 0:
            await asyncio.sleep(wait)

    async def play(
        self, chunks: AsyncIterable[T], wire: Wire[T], *, waited_for: Callable[[T], bool] | None = None
    ) -> bool:
        """Sends the chunks; True when all went out and the end mark may follow.

        ``waited_for``: the chunks that ``first_ms`` goes before, where it isn't the first one (a final transcript).
        """
        try:
            return await self._play(chunks, wire, waited_for)
        finally:
            self.over.set()

    async def _play(self, chunks: AsyncIterable[T], wire: Wire[T], waited_for: Callable[[T], bool] | None) -> bool:
        sent, struck = 0, self.fault is None
        async for chunk in chunks:
            if not struck and self.fault is not None and sent >= self.fault.strikes_after:
                struck = True
                if not await self._strike(self.fault, wire):
                    return False
            await self.pause(first=waited_for(chunk) if waited_for else sent == 0)
            await wire.send(chunk)
            sent += 1
        if not struck and self.fault is not None:
            return await self._strike(self.fault, wire)
        return True

    async def _strike(self, fault: Fault, wire: Wire[T]) -> bool:
        if fault.kind == "garbage":
            await wire.garbage()
            return True
        if fault.kind == "stall":
            self.over.set()
            await asyncio.Event().wait()  # until whoever waits for the answer goes away
        elif fault.kind == "reset":
            wire.reset()
        elif fault.kind == "half":
            await wire.half()
        else:
            await wire.refuse(fault)
        return False
