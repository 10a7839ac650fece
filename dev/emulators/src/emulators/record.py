"""What was asked, for tests: counts and the last requests, without keys."""

from __future__ import annotations

from collections import deque
from typing import Any

from switchboard.clock import Clock

from emulators.behaviour import FACES, Face, Strict

KEPT = 50


class Request(Strict):
    """One request or piece of work. ``at``: seconds since the start. ``fields``: what was asked, without secrets."""

    at: float
    what: str
    fields: dict[str, Any]
    fault: str | None = None
    refused: str | None = None


class Asked(Strict):
    """Of one face. ``requests``: accepted requests, utterances or contexts. ``connections``: accepted WebSockets."""

    requests: int = 0
    connections: int = 0
    refused: int = 0
    last: tuple[Request, ...] = ()


class Record:
    """Counts and last requests of every face."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self.forget()

    def forget(self) -> None:
        """Starts counting again."""
        self._requests = dict.fromkeys(FACES, 0)
        self._connections = dict.fromkeys(FACES, 0)
        self._refused = dict.fromkeys(FACES, 0)
        self._last: dict[Face, deque[Request]] = {face: deque(maxlen=KEPT) for face in FACES}

    def _note(self, face: Face, what: str, fields: dict[str, Any], fault: str | None, refused: str | None) -> None:
        at = round(self._clock.monotonic() - self._began, 3)
        self._last[face].append(Request(at=at, what=what, fields=fields, fault=fault, refused=refused))

    def request(self, face: Face, what: str, fields: dict[str, Any], fault: str | None = None) -> None:
        """A request or piece of work that was accepted, and the fault that strikes it."""
        self._requests[face] += 1
        self._note(face, what, fields, fault, None)

    def connection(self, face: Face, what: str, fields: dict[str, Any]) -> None:
        """An accepted WebSocket."""
        self._connections[face] += 1
        self._note(face, what, fields, None, None)

    def refused(self, face: Face, what: str, why: str) -> None:
        """Something that was refused, with the reason given to the client."""
        self._refused[face] += 1
        self._note(face, what, {}, None, why)

    def asked(self, face: Face) -> Asked:
        return Asked(
            requests=self._requests[face],
            connections=self._connections[face],
            refused=self._refused[face],
            last=tuple(self._last[face]),
        )
