"""Waiting for the first of several events, and a cache that forgets."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


async def first_set(events: Mapping[str, asyncio.Event], timeout: float | None = None) -> str:
    """The name of the first event in `events` that is set, in their order when several are; "" after `timeout` seconds."""
    for name, event in events.items():
        if event.is_set():
            return name
    tasks = [asyncio.create_task(event.wait()) for event in events.values()]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next((name for name, event in events.items() if event.is_set()), "")


class ExpiringCache(Generic[K, V]):
    """At most `limit` entries, each for `ttl_s` seconds of `clock`."""

    def __init__(self, limit: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._ttl_s, self._clock = limit, ttl_s, clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None or entry[0] <= self._clock():
            return None
        return entry[1]

    def put(self, key: K, value: V) -> None:
        self._entries.pop(key, None)
        self._entries[key] = (self._clock() + self._ttl_s, value)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)
