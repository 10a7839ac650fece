"""Whether this process can do its work, and which of its dependencies it does without at the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import structlog

_log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[object]]
"""Returns when all is well, raises when not. It is given :data:`TIMEOUT_S`."""

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Report:
    """What ``/health/ready`` answers. Names only: why a check failed is in the log, not on a public page."""

    status: Literal["ready", "degraded", "draining", "failed"]
    failed: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return self.status in ("ready", "degraded")


class Health:
    """The checks of one process. ``draining`` is set once, when it begins to stop."""

    def __init__(self) -> None:
        self.draining = False
        self._required: dict[str, Check] = {}
        self._degradable: dict[str, Check] = {}

    def required(self, name: str, check: Check) -> None:
        """Without ``name`` this process can't do its work: not ready."""
        self._add(self._required, name, check)

    def degradable(self, name: str, check: Check) -> None:
        """This process lives without ``name`` for a while: ready, and the body says so."""
        self._add(self._degradable, name, check)

    def _add(self, kind: dict[str, Check], name: str, check: Check) -> None:
        if name in self._required or name in self._degradable:
            raise ValueError(f"there is a check {name!r} already")
        kind[name] = check

    async def report(self) -> Report:
        """Runs all checks at once."""
        if self.draining:
            return Report("draining")
        failed, degraded = await asyncio.gather(_failing(self._required), _failing(self._degradable))
        if failed:
            return Report("failed", failed, degraded)
        return Report("degraded" if degraded else "ready", (), degraded)


async def _failing(checks: dict[str, Check]) -> tuple[str, ...]:
    outcomes = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    return tuple(name for name, passed in zip(checks, outcomes, strict=True) if not passed)


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await check()
    except Exception as error:  # a check may fail in any way; each means no
        _log.warning("health check failed", check=name, error=type(error).__name__)
        return False
    return True
