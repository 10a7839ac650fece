"""For tests: sets the emulators' behaviour and reads what was asked.

::

    async with EmulatorsClient.open(admin_url) as emulators:
        await emulators.teach(texts, names=["Bright Smile"])
        await emulators.fault("chat", "stall", count=1)
        ...
        assert (await emulators.asked("chat")).requests == 2
        await emulators.calm()
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from emulators.admin_models import FaceState, NewVoice, Words
from emulators.behaviour import Behaviour, Face, Fault, FaultKind, Latency
from emulators.record import Asked


class AdminError(Exception):
    """The admin face refused; the message is its reason."""


class EmulatorsClient:
    """Every method raises AdminError for a refusal, and aiohttp's ClientError when nobody answers."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[EmulatorsClient]:
        """`url`: the admin face's, as the process printed it."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            yield cls(session, url)

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self._session.request(method, self._url + path, json=body) as answer:
            read = await answer.json() if answer.status != 204 else None
            if answer.status >= 400:
                raise AdminError(f"{method} {path}: {read.get('error') if isinstance(read, dict) else answer.status}")
            return read

    async def behave(self, face: Face, behaviour: Behaviour) -> None:
        """Replaces a protocol's behaviour."""
        await self._send("PUT", f"/faces/{face}", behaviour.model_dump(mode="json"))

    async def fault(
        self,
        face: Face,
        kind: FaultKind,
        *,
        count: int | None = None,
        after: int | None = None,
        retry_after_s: float = 1.0,
        latency: Latency | None = None,
    ) -> None:
        """One fault, for the next `count` requests or (None) for ever; replaces the protocol's behaviour."""
        fault = Fault(kind=kind, count=count, after=after, retry_after_s=retry_after_s)
        await self.behave(face, Behaviour(faults=(fault,), latency=latency or Latency()))

    async def latency(self, face: Face, *, first_ms: float = 0, chunk_ms: float = 0, jitter_ms: float = 0) -> None:
        """Slow but right; replaces the protocol's behaviour."""
        latency = Latency(first_ms=first_ms, chunk_ms=chunk_ms, jitter_ms=jitter_ms)
        await self.behave(face, Behaviour(latency=latency))

    async def calm(self) -> None:
        """Every protocol behaves well again. Work that is stalled stays so."""
        await self._send("DELETE", "/faces")

    async def state(self, face: Face) -> FaceState:
        return FaceState.model_validate(await self._send("GET", f"/faces/{face}"))

    async def asked(self, face: Face) -> Asked:
        """Counts and the last requests since the start or `forget`."""
        return (await self.state(face)).asked

    async def forget(self) -> None:
        """Counts from nothing."""
        await self._send("DELETE", "/requests")

    async def teach(self, texts: Sequence[str], *, names: Sequence[str] = (), places: Sequence[str] = ()) -> None:
        """Returns when connections that are made from now on know the words of these texts."""
        words = Words(texts=tuple(texts), names=tuple(names), places=tuple(places))
        await self._send("PUT", "/words", words.model_dump(mode="json"))

    async def add_voice(self, identity: str, voice: str, *, speed: int = 155, pitch: int = 50) -> None:
        """A voice id that sounds like an espeak-ng voice."""
        await self._send("POST", "/voices", NewVoice(id=identity, voice=voice, speed=speed, pitch=pitch).model_dump())
