"""Links that have just failed are not tried again in the next turn: the caller would wait for them each time.

A failed link rests; meanwhile it is asked in the background, with work that nobody waits for, and comes back when it has done
that. Each failed attempt doubles the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

import structlog

_log = structlog.get_logger(__name__)

REST_SECONDS = 10.0
LONGEST_REST_SECONDS = 160.0


class Named(Protocol):
    @property
    def endpoint(self) -> str: ...


Link = TypeVar("Link", bound=Named)


class Breaker:
    """One stage's links of one call. ``sleep`` is asyncio's, or a test's."""

    def __init__(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._resting: dict[str, asyncio.Task[None]] = {}

    def usable(self, links: Iterable[Link]) -> list[Link]:
        """Those that are not resting, in their order."""
        return [link for link in links if link.endpoint not in self._resting]

    def rest(self, endpoint: str, probe: Callable[[], Awaitable[bool]]) -> None:
        """Don't use ``endpoint`` until ``probe`` says that it works."""
        if endpoint not in self._resting:
            self._resting[endpoint] = asyncio.create_task(self._until_well(endpoint, probe), name="provider rests")

    async def _until_well(self, endpoint: str, probe: Callable[[], Awaitable[bool]]) -> None:
        seconds = REST_SECONDS
        while True:
            await self._sleep(seconds)
            try:
                if await probe():
                    break
            except Exception as error:  # a probe that breaks has found out what it was to find out
                _log.info("a provider is still away", endpoint=endpoint, error=type(error).__name__)
            seconds = min(2 * seconds, LONGEST_REST_SECONDS)
        _log.info("a provider is back", endpoint=endpoint)
        del self._resting[endpoint]

    async def aclose(self) -> None:
        tasks = list(self._resting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
