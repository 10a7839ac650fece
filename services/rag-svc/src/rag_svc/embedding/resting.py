"""Providers that have just failed are left alone for a while: the next caller would wait for nothing, too. Pure."""

from __future__ import annotations

from switchboard.clock import Clock
from switchboard.contracts.providers import FaultKind


class Resting:
    """``seconds`` of rest after each failure; 0 for none. One search at a time pays to find out how it is after that."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until: dict[str, tuple[float, FaultKind]] = {}

    def fault(self, space: str) -> FaultKind | None:
        """Why ``space`` is to be done without now; ``None`` when it may be asked."""
        held = self._until.get(space)
        if held is None:
            return None
        until, fault = held
        if self._clock.monotonic() < until:
            return fault
        # Whoever asks next to this search goes without, until it is known how this one fares.
        self.failed(space, fault)
        return None

    def failed(self, space: str, fault: FaultKind) -> None:
        if self._seconds > 0:
            self._until[space] = (self._clock.monotonic() + self._seconds, fault)

    def answered(self, space: str) -> None:
        self._until.pop(space, None)
